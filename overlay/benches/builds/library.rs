//! What the library takes by itself.

use std::time::Instant;

use nix::sys::resource::UsageWho;
use overlay::build::{Options, build};
use overlay::yaml::{Node, Source, read, write_documents};
use overlay::{MemTree, Shared};

use crate::inputs::deployment;
use crate::process::{self, run_itself};

#[path = "../../tests/inputs/hostile.rs"]
mod hostile;

/// So many things of a kind are in a hostile tree.
const HOSTILE: usize = 60_000;

/// How many environments are built.
const ENVIRONMENTS: usize = 1000;

/// Prints the tables.
pub(crate) fn print() {
    print_speed();
    print_environments();
    print_hostile();
}

fn best(mut work: impl FnMut()) -> f64 {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..7).map(|_| time(&mut work)).fold(f64::MAX, f64::min)
}

fn print_speed() {
    let text = (0..500).map(deployment).collect::<Vec<_>>().join("---\n");
    let nodes = || read(text.as_bytes(), &Source::default()).expect("manifests");
    let documents = nodes();
    let documents: Vec<&Node> = documents.iter().collect();
    let printed = write_documents(&documents);
    let speed = |bytes: usize, seconds: f64| bytes as f64 / seconds / 1e6;
    let reading = best(|| drop(nodes()));
    let writing = best(|| drop(write_documents(&documents)));
    println!("| library, one core, best of 7 | MB/s | goal |\n|---|---|---|");
    println!("| parse | {:.0} | ≥ 60 |", speed(text.len(), reading));
    println!("| emit | {:.0} | ≥ 100 |\n", speed(printed.len(), writing));
}

/// Environments of a stage over a base, as in the example: what is theirs is little.
fn environments() -> MemTree {
    let mut tree = MemTree::new();
    let mut write = |path: String, text: String| tree.insert(&path, text.into_bytes());
    let base: Vec<String> = (0..20).map(deployment).collect();
    write("base/all.yaml".to_owned(), base.join("---\n"));
    write(
        "base/kustomization.yaml".to_owned(),
        "resources: [all.yaml]\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n".to_owned(),
    );
    write("stage/kustomization.yaml".to_owned(), "resources: [../base]\nlabels: [{pairs: {stage: prod}, includeSelectors: true}]\nimages: [{name: registry.example.com/team/app-1, newTag: v2}]\n".to_owned());
    for number in 0..ENVIRONMENTS {
        let patch = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{}}}\nspec: {{replicas: {number}}}\n",
            number % 20
        );
        write(format!("env-{number}/patch.yaml"), patch);
        write(
            format!("env-{number}/kustomization.yaml"),
            format!(
                "resources: [../stage]\nnamespace: env-{number}\npatches: [{{path: patch.yaml}}]\n"
            ),
        );
    }
    tree
}

fn print_environments() {
    let tree = environments();
    let build_all = |shared: Option<&Shared>| {
        let start = Instant::now();
        for number in 0..ENVIRONMENTS {
            let options = Options {
                shared,
                record_reads: true,
                ..Options::default()
            };
            let built = build(&tree, &format!("env-{number}"), &options);
            assert_eq!(built.expect("an environment").objects.len(), 21);
        }
        start.elapsed().as_secs_f64()
    };
    let (alone, together) = (build_all(None), build_all(Some(&Shared::default())));
    println!("| {ENVIRONMENTS} environments of one revision | seconds | goal |\n|---|---|---|");
    println!("| each by itself | {alone:.2} | |");
    println!(
        "| sharing | {together:.2}, 1/{:.1} | ≤ 1/5 |\n",
        alone / together
    );
}

fn print_hostile() {
    println!(
        "| hostile tree, {HOSTILE} things | wall | user | peak, its text included | budget |\n|---|---|---|---|---|"
    );
    for (number, tree) in hostile::trees(HOSTILE).into_iter().enumerate() {
        let run = run_itself(&["hostile", &number.to_string()]);
        println!(
            "| {} | {:.0} ms | {:.0} ms | {:.0} MB | {} |",
            tree.name, run.wall, run.user, run.memory, tree.budget
        );
    }
}

/// Builds one hostile tree under the default budgets, and prints what that took.
pub(crate) fn build_hostile(number: usize) {
    let mut tree = MemTree::new();
    let hostile = hostile::trees(HOSTILE).swap_remove(number);
    for (path, text) in hostile.files {
        tree.insert(&path, text.into_bytes());
    }
    // From here on the peak of memory is counted anew.
    let counted = std::fs::write("/proc/self/clear_refs", "5");
    let (start, user) = (Instant::now(), process::user_time(UsageWho::RUSAGE_SELF));
    let errors = build(&tree, "", &Options::default()).map(drop);
    let wall = start.elapsed().as_secs_f64() * 1e3;
    let user = process::user_time(UsageWho::RUSAGE_SELF) - user;
    let errors = errors.expect_err("a budget").to_string();
    assert!(errors.contains(hostile.budget), "{errors:.300}");
    let peak = counted.ok().and_then(|()| process::peak());
    println!("{wall} {user} {}", peak.unwrap_or_default());
}
