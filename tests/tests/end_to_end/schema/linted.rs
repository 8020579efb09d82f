//! What `weir lint` says of objects, each in a folder of its own.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_tests::{Repository, Weir};

use super::probes::Probe;

/// What is said of each probe's form, in the repository that also holds this definition.
pub(super) fn linted(probes: &[Probe], definition: &str) -> Vec<Vec<String>> {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    work.write("definition.yaml", definition);
    for (number, probe) in probes.iter().enumerate() {
        let folder = format!("envs/{number}");
        work.write(
            &format!("{folder}/kustomization.yaml"),
            "resources: [object.yaml]\n",
        );
        let object = serde_json::to_string_pretty(&probe.object).unwrap();
        work.write(&format!("{folder}/object.yaml"), object);
    }
    let mut found = findings(&work);
    let of = |number| found.remove(&format!("envs/{number}/object.yaml"));
    let each = (0..probes.len()).map(of);
    each.map(Option::unwrap_or_default).collect()
}

/// Findings by file.
fn findings(work: &Repository) -> BTreeMap<String, Vec<String>> {
    let output = Weir::command()
        .args(["lint", "-o", "json"])
        .current_dir(work.path())
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in said["findings"].as_array().unwrap() {
        let text = |field: &str| finding[field].as_str().unwrap().to_owned();
        // Some of what is wrong cannot even be built.
        if ["schema", "does-not-build"].contains(&text("rule").as_str()) {
            assert!(finding["line"].as_u64().unwrap() > 0, "{finding}");
            found.entry(text("file")).or_default().push(text("message"));
        }
    }
    found
}
