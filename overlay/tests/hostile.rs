//! Hostile trees end in a typed error that names their budget. How soon is measured by the benches.

#[path = "inputs/hostile.rs"]
mod hostile;

use overlay::build::{Budget, Options, build};
use overlay::{Errors, MemTree};

/// A hundredth of the default, about.
fn small() -> Budget {
    Budget {
        file_bytes: 600_000,
        nodes: 28_000,
        documents: 2900,
        anchors: 900,
        steps: 100_000,
        ..Budget::default()
    }
}

#[test]
fn hostile_trees_end_within_their_budgets() {
    for hostile in hostile::trees(1000) {
        let mut tree = MemTree::new();
        for (path, text) in &hostile.files {
            tree.insert(path, text.as_bytes());
        }
        let options = Options {
            budget: small(),
            ..Options::default()
        };
        let said = match build(&tree, "", &options) {
            Ok(_) => "it was built".to_owned(),
            Err(Errors(errors)) => errors[0].to_string(),
        };
        let (name, budget) = (hostile.name, hostile.budget);
        assert!(said.contains("more than"), "{name}: {said:.300}");
        assert!(said.contains(budget), "{name}: {said:.300}");
    }
}
