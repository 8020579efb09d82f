//! A chain of Kustomizations, each waiting for the one before.

use serde_json::json;

use crate::fleet;
use crate::site::{Site, by_kind};
use crate::table::Row;

/// Measures a chain of so many.
pub(crate) async fn measure(count: usize) -> Vec<Row> {
    let site = Site::start("chain").await;
    let repository = &site.scene.repository;
    (0..count).for_each(|number| fleet::write_application(repository, number, "first"));
    let commit = repository.publish("first");
    let specifications = (0..count).map(|number| {
        let before = number
            .checked_sub(1)
            .map(|before| json!({ "name": fleet::name(before) }));
        let spec = json!({
            "wait": true,
            "dependsOn": before.into_iter().collect::<Vec<_>>(),
            "postBuild": { "substitute": { "version": "1.0.0" } },
        });
        let name = fleet::name(number);
        let path = format!("./apps/{name}");
        (name, path, spec)
    });
    site.kustomizations(specifications).await;
    site.silent(0).await;
    let position = site.log.position();
    let deploy = site.deploy(count, &commit, json!({})).await;
    vec![Row {
        what: format!("dependsOn chain of {count}, first deploy"),
        peer: "up to 30 s a hop",
        floor: None,
        seen: deploy.took.as_secs_f64(),
        goal: 2.0,
        unit: "s",
        detail: by_kind(&site.calls(position)),
    }]
}
