//! A promotion shown with the render of every environment that it reaches, without a cluster.

use weir_tests::Repository;

use crate::environments::{RUNS, deployment, run, write};
use crate::table::Row;

/// What it may take, in seconds.
const GOAL: f64 = 1.0;

/// Measures with so many environments of the target, and one of the source.
pub(crate) async fn measure(count: usize) -> Vec<Row> {
    let repository = Repository::create("http://127.0.0.1:1/none.git", None);
    write(&repository, count + 1, count);
    repository.commit("first");
    // Stage 1 is that of the last environment alone.
    let source = "stages/stage-1/app-0/deployment.yaml";
    repository.write(source, deployment("app-0", "2.0.0"));
    repository.commit("a version");
    vec![Row {
        what: format!("a promotion with the render of {count} environments"),
        peer: "–",
        floor: None,
        seen: run(&repository, "promote", &["stage-1", "stage-0", "app-0"]),
        goal: GOAL,
        unit: "s",
        detail: format!("cold, median of {RUNS}; debug builds take several times as long"),
    }]
}
