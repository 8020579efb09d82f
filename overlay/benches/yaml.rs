//! How fast manifests are read and written, in bytes of YAML: `cargo bench -p weir-overlay --bench yaml`.

use std::fmt::Write as _;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use overlay::yaml::{Node, Source, read, read_by_events, write_documents};

fn main() {
    divan::main();
}

/// A kind of manifest, as text.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// Workloads: short keys, short values, deep nesting.
    Deployments,
    /// Definitions: descriptions over several lines, flow lists, the deepest nesting.
    Definitions,
    /// Configuration: files in literal blocks.
    ConfigMaps,
}

const INPUTS: [Input; 3] = [Input::Deployments, Input::Definitions, Input::ConfigMaps];

fn text(input: Input) -> String {
    let document = match input {
        Input::Deployments => deployment,
        Input::Definitions => definition,
        Input::ConfigMaps => config_map,
    };
    let documents: Vec<String> = (0..200).map(document).collect();
    documents.join("---\n")
}

fn deployment(number: usize) -> String {
    let mut out = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    app.kubernetes.io/name: app-{number}\n  \
         name: app-{number}\nspec:\n  replicas: 3\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: \
         app-{number}\n  template:\n    spec:\n      containers:\n"
    );
    for container in 0..8 {
        let _ = write!(
            out,
            "      - image: registry.example.com/team/app-{container}:v1.{number}\n        name: c{container}\n        \
             args: [\"--listen=:8080\", \"--verbose\"]\n        env:\n        - name: LOG_LEVEL\n          value: \
             \"info\"\n        - name: PASSWORD\n          valueFrom:\n            secretKeyRef:\n              key: \
             password\n              name: database-{container}\n        ports:\n        - containerPort: 8080\n          \
             protocol: TCP\n        resources:\n          limits:\n            cpu: 500m\n            memory: 128Mi\n"
        );
    }
    out
}

fn definition(number: usize) -> String {
    let mut out = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things{number}.example.com\n\
         spec:\n  versions:\n  - name: v1\n    schema:\n      openAPIV3Schema:\n        properties:\n"
    );
    for property in 0..40 {
        let _ = write!(
            out,
            "          property{property}:\n            description: 'The property has a description: it is long, and\n              \
             it is folded over several lines, as generators of such definitions\n              print it'\n            \
             items:\n              description: Plain text that is long enough to be folded, without\n                \
             any quotes around it.\n              enum: [Always, Never, IfNotPresent]\n              type: string\n            \
             nullable: true\n            type: array\n"
        );
    }
    out
}

fn config_map(number: usize) -> String {
    let line = "    server.option.name = some value # and a comment on it\n";
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-{number}\ndata:\n  server.conf: |\n{}  LEVEL: \"3\"\n",
        line.repeat(100)
    )
}

fn nodes(text: &str) -> Vec<Node> {
    read(text.as_bytes(), &Source::default()).unwrap_or_default()
}

#[divan::bench(args = INPUTS)]
fn read_manifests(bencher: Bencher<'_, '_>, input: Input) {
    let text = text(input);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| nodes(black_box(&text)));
}

#[divan::bench(args = INPUTS)]
fn read_manifests_by_events(bencher: Bencher<'_, '_>, input: Input) {
    let text = text(input);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| read_by_events(black_box(text.as_bytes()), &Source::default()));
}

#[divan::bench(args = INPUTS)]
fn write_manifests(bencher: Bencher<'_, '_>, input: Input) {
    let nodes = nodes(&text(input));
    let documents: Vec<&Node> = nodes.iter().collect();
    let printed = write_documents(&documents);
    bencher
        .counter(BytesCount::of_str(&printed))
        .bench(|| write_documents(black_box(&documents)));
}
