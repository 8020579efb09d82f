//! The same commit in a small and in a large repository.

use serde_json::json;

use crate::change::{commits, median};
use crate::fleet;
use crate::site::Site;
use crate::table::Row;

/// How many applications there are, in either repository.
const APPLICATIONS: usize = 10;
/// How many commits the median is of.
const COMMITS: usize = 11;
/// Files beside each other in a folder.
const PER_FOLDER: usize = 100;

/// Measures a commit among so few and so many files.
pub(crate) async fn measure(few: usize, many: usize) -> Vec<Row> {
    let small = commit_among(few).await;
    let large = commit_among(many).await;
    vec![Row {
        what: format!("cost of a commit, from {few} to {many} files in the repository"),
        peer: "grows",
        floor: None,
        seen: large / small,
        goal: 1.5,
        unit: "×",
        detail: format!("{small:.0} ms and {large:.0} ms, p50 of {COMMITS}"),
    }]
}

async fn commit_among(files: usize) -> f64 {
    let site = Site::start("size").await;
    let repository = &site.scene.repository;
    for number in 0..files {
        let path = format!("other/{}/file-{number}.txt", number / PER_FOLDER);
        repository.write(&path, format!("this is file {number}\n").repeat(20));
    }
    (0..APPLICATIONS).for_each(|number| fleet::write_application(repository, number, "first"));
    let commit = repository.publish("first");
    let specifications = (0..APPLICATIONS).map(|number| {
        let name = fleet::name(number);
        let path = format!("./apps/{name}");
        let spec = json!({ "postBuild": { "substitute": { "version": "1.0.0" } } });
        (name, path, spec)
    });
    site.kustomizations(specifications).await;
    site.deploy(APPLICATIONS, &commit, json!({})).await;
    let changed = |note: &str| fleet::write_application(&site.scene.repository, 0, note);
    let seen = commits(&site, COMMITS, changed).await;
    median(
        seen.iter()
            .map(|change| change.watched.as_secs_f64() * 1000.0)
            .collect(),
    )
}
