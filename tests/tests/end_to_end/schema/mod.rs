//! `weir lint` says of manifests what the API server would refuse, and nothing of those that it would accept: the table of
//! built-in kinds is what a server publishes and was seen refusing, and definitions are read as it reads them.
//! `WEIR_BLESS=1` writes anew what is compared.

mod custom;
mod linted;
mod probes;
mod published;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use weir_tests::ControlPlane;

use linted::linted;
use probes::{Probe, Seen, Wrong, asked};
use published::{Published, short};

const TABLE: &str = "../controller/src/lint/schema/built_in.txt";
const ALONE: &str = "tests/end_to_end/schema/server-alone.txt";

/// What a file holds is what it should; it is written anew when that is asked for.
fn same(file: &str, want: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&path, want).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    let (have, want) = (have.lines(), want.lines());
    let difference = have
        .clone()
        .zip(want.clone())
        .find(|(have, want)| have != want);
    assert!(
        have.count() == want.count() && difference.is_none(),
        "{file} is another one, from here on: {difference:?}"
    );
}

#[tokio::test]
async fn lint_says_of_built_in_kinds_what_the_server_refuses() {
    let client = ControlPlane::shared()
        .client(ControlPlane::ADMINISTRATOR)
        .await;
    let published = Published::by(&client).await;
    let probes = asked(&client, &published).await;
    let is_whole = |probe: &&Probe| probe.wrong == Wrong::Nothing;
    for whole in probes.iter().filter(is_whole) {
        assert_eq!(whole.refusal, None, "{}", whole.about());
    }
    same(TABLE, &table::table(&published, &Seen::of(&probes)));

    let (mut alarms, mut alone, mut found, mut missed) = (Vec::new(), BTreeSet::new(), 0, 0);
    for (probe, findings) in probes.iter().zip(linted(&probes, "")) {
        match (&probe.refusal, findings.is_empty()) {
            (None, false) => alarms.push(format!("{}: {findings:?}", probe.about())),
            (Some(_), false) => found += 1,
            (Some(_), true) => {
                missed += 1;
                let (name, field) = &probe.field;
                alone.insert(format!("{}.{field}: {:?}\n", short(name), probe.wrong));
            }
            (None, true) => {}
        }
    }
    assert!(alarms.is_empty(), "the server accepts these: {alarms:#?}");
    println!(
        "of {} manifests the server refuses {}; lint finds {found}",
        probes.len(),
        found + missed
    );
    same(ALONE, &alone.into_iter().collect::<String>());
}
