//! Trees whose authors mean harm: each asks for far more than its size says. The tests build small ones under small
//! budgets, the benches large ones under the default.

use std::fmt::Write as _;

/// A tree that is refused.
pub(crate) struct Hostile {
    /// What it does.
    pub(crate) name: &'static str,
    /// The budget that ends it, as its error says.
    pub(crate) budget: &'static str,
    /// Paths and texts.
    pub(crate) files: Vec<(String, String)>,
}

const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
const COMPONENT: &str =
    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {a: b}}]\n";
const EVERYTHING: &str = "resources: [a.yaml]\npatches: [{target: {kind: .*}, path: p.yaml}]\n";

/// Trees of about `size` things each.
pub(crate) fn trees(size: usize) -> Vec<Hostile> {
    let mut trees = files(size);
    trees.extend(squares(size));
    trees.extend(doublings(size));
    trees.extend(expressions(size));
    trees.extend(folders(size));
    trees
}

/// What the reader refuses.
fn files(size: usize) -> Vec<Hostile> {
    let object = |name, budget, field: String| Hostile {
        name,
        budget,
        files: tree(
            "resources: [a.yaml]\n",
            &[("a.yaml", format!("{OBJECT}{field}"))],
        ),
    };
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for level in 1..60 {
        let below = level - 1;
        let _ = writeln!(bomb, "a{level}: &a{level} [*a{below}, *a{below}]");
    }
    let keys = each(1000, |key| format!("k{key}: 1, "));
    let merges = each(size, |_| "- {<<: *a}\n".to_owned());
    vec![
        object("aliases that multiply", "nodes", bomb),
        object(
            "merge keys that multiply",
            "nodes",
            format!("a: &a {{{keys}}}\nb:\n{merges}"),
        ),
        object(
            "many anchors",
            "anchors",
            format!("a:\n{}", each(size, |at| format!("- &a{at} x\n"))),
        ),
        object(
            "many values",
            "nodes",
            format!("a:\n{}", "- x\n".repeat(30 * size)),
        ),
        object(
            "many values on a line",
            "nodes",
            format!("a: [{}]\n", "x, ".repeat(30 * size)),
        ),
        object(
            "many keys",
            "nodes",
            format!("a:\n{}", each(30 * size, |at| format!("  k{at}: v\n"))),
        ),
        object("many documents", "documents", "---\n".repeat(8 * size)),
        object(
            "a long scalar",
            "bytes of one file",
            format!("a: {}\n", "x".repeat(700 * size)),
        ),
        object(
            "lists in lists",
            "levels of nesting",
            format!("a: {}", "[".repeat(10 * size)),
        ),
        object(
            "lists in lists, dashes",
            "levels of nesting",
            format!("a:\n{}", "- ".repeat(10 * size)),
        ),
        object(
            "mappings in mappings",
            "levels of nesting",
            format!("a: {}", "{a: ".repeat(10 * size)),
        ),
    ]
}

/// What grows with the square of its input.
fn squares(size: usize) -> Vec<Hostile> {
    let many = each(size, object);
    let containers = each(size, |at| format!("{{name: c{at}}}, "));
    let ports = each(size / 4, |at| format!("{{port: {at}}}, "));
    let workload = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{template: {{spec: {{containers: [{containers}]}}}}}}\n"
    );
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: x}}\nspec: {{ports: [{ports}]}}\n"
    );
    let data = format!(
        "{OBJECT}data:\n{}",
        each(2 * size, |at| format!("  k{at}: v\n"))
    );
    let patches = each(size, |at| {
        format!("- patch: '{{apiVersion: v1, kind: ConfigMap, metadata: {{name: n{at}}}}}'\n")
    });
    let targets = each(size, |at| {
        format!("- {{target: {{name: none{at}}}, patch: '- {{op: remove, path: /a}}'}}\n")
    });
    let replacements = "- {source: {name: n1, fieldPath: kind}, targets: [{select: {name: n2}, fieldPaths: [metadata.name]}]}\n";
    let references = each(size / 2, |at| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: b{at}}}\n\
             subjects: [{{kind: ServiceAccount, name: s, namespace: n{at}}}]\n---\n\
             apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: s, namespace: n{at}}}\n---\n"
        )
    });
    let resources = "resources: [a.yaml]\n";
    let steps = |name, kustomization: String, files: &[(&str, String)]| Hostile {
        name,
        budget: "steps",
        files: tree(&kustomization, files),
    };
    vec![
        steps(
            "patches × objects",
            format!("{resources}patches:\n{patches}"),
            &[("a.yaml", many.clone())],
        ),
        steps(
            "targets × objects",
            format!("{resources}patches:\n{targets}"),
            &[("a.yaml", many.clone())],
        ),
        steps(
            "replacements × objects",
            format!("{resources}replacements:\n{}", replacements.repeat(size)),
            &[("a.yaml", many.clone())],
        ),
        steps(
            "components × objects",
            format!("{resources}components:\n{}", "- c\n".repeat(size / 10)),
            &[
                ("a.yaml", many.clone()),
                ("c/kustomization.yaml", COMPONENT.to_owned()),
            ],
        ),
        steps(
            "images × objects",
            format!(
                "{resources}images:\n{}",
                each(size / 10, |at| format!("- {{name: i{at}, newTag: x}}\n"))
            ),
            &[("a.yaml", many.clone())],
        ),
        steps(
            "vars × objects",
            format!(
                "{resources}vars:\n{}",
                each(size, |at| format!(
                    "- {{name: A{at}, objref: {{apiVersion: v1, kind: ConfigMap, name: n{at}}}}}\n"
                ))
            ),
            &[("a.yaml", many)],
        ),
        steps(
            "generators",
            format!(
                "configMapGenerator:\n{}",
                each(size, |at| format!("- {{name: x{at}}}\n"))
            ),
            &[],
        ),
        steps(
            "labels",
            format!(
                "{resources}commonLabels:\n{}",
                each(size, |at| format!("  k{at}: v\n"))
            ),
            &[("a.yaml", each(30, object))],
        ),
        steps(
            "elements × elements",
            format!("{resources}patches: [{{path: a.yaml}}]\n"),
            &[("a.yaml", workload)],
        ),
        steps(
            "ports × ports",
            format!("{resources}patches: [{{path: a.yaml}}]\n"),
            &[("a.yaml", service)],
        ),
        steps(
            "keys × keys",
            format!("{resources}patches: [{{path: a.yaml}}]\n"),
            &[("a.yaml", data)],
        ),
        steps(
            "operations × keys",
            EVERYTHING.to_owned(),
            &[
                ("a.yaml", format!("{OBJECT}data: {{}}\n")),
                (
                    "p.yaml",
                    each(3 * size, |at| {
                        format!("- {{op: add, path: /data/k{at}, value: v}}\n")
                    }),
                ),
            ],
        ),
        steps(
            "operations × items",
            EVERYTHING.to_owned(),
            &[
                ("a.yaml", format!("{OBJECT}data: []\n")),
                (
                    "p.yaml",
                    "- {op: add, path: /data/0, value: v}\n".repeat(3 * size),
                ),
            ],
        ),
        steps(
            "names × namespaces",
            format!("{resources}namePrefix: p-\n"),
            &[("a.yaml", references)],
        ),
    ]
}

/// What doubles with every line.
fn doublings(size: usize) -> Vec<Hostile> {
    let resources = "resources: [a.yaml]\n";
    let whole = each(60, |at| {
        format!(
            "- {{source: {{kind: ConfigMap, fieldPath: data}}, targets: [{{select: {{kind: ConfigMap}}, fieldPaths: [data.k{at}], options: {{create: true}}}}]}}\n"
        )
    });
    let text = "- {source: {kind: ConfigMap, fieldPath: data.a}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.a], options: {delimiter: '.', index: 99}}]}\n".repeat(60);
    let object = format!("{OBJECT}data: {{a: bcdef}}\n");
    let definitions = each(40, |at| {
        let next = at + 1;
        format!(
            "D{at}: {{Schema: {{properties: {{kind: {{}}, apiVersion: {{}}, metadata: {{}}, a: {{$ref: D{next}}}, b: {{$ref: D{next}}}}}}}}}\n"
        )
    });
    let var = "vars: [{name: A, objref: {apiVersion: v1, kind: ConfigMap, name: x}, fieldref: {fieldPath: data.a}}]\nconfigurations: [c.yaml]\n";
    let steps = |name, kustomization: String, files: &[(&str, String)]| Hostile {
        name,
        budget: "steps",
        files: tree(&kustomization, files),
    };
    vec![
        steps(
            "copies of copies",
            EVERYTHING.to_owned(),
            &[
                ("a.yaml", object.clone()),
                (
                    "p.yaml",
                    each(60, |at| {
                        format!("- {{op: copy, from: /data, path: /data/k{at}}}\n")
                    }),
                ),
            ],
        ),
        steps(
            "replacements of replacements",
            format!("{resources}replacements:\n{whole}"),
            &[("a.yaml", object.clone())],
        ),
        steps(
            "text in its own text",
            format!("{resources}replacements:\n{text}"),
            &[("a.yaml", object.clone())],
        ),
        steps(
            "definitions of definitions",
            format!("{resources}crds: [d.yaml]\n"),
            &[("a.yaml", object), ("d.yaml", definitions)],
        ),
        steps(
            "a long value in many places",
            format!("{resources}{var}"),
            &[
                ("c.yaml", "varReference: [{path: data/b}]\n".to_owned()),
                (
                    "a.yaml",
                    format!(
                        "{OBJECT}data: {{a: {}, b: \"{}\"}}\n",
                        "x".repeat(2 * size),
                        "$(A) ".repeat(size)
                    ),
                ),
            ],
        ),
    ]
}

/// Small texts that ask for large expressions, or for small ones often.
fn expressions(size: usize) -> Vec<Hostile> {
    const LARGE: &str = "(a{30}){40}";
    let patch = |target: String| {
        format!("- {{target: {{name: '{target}'}}, patch: '- {{op: remove, path: /a}}'}}\n")
    };
    let resources = "resources: [a.yaml]\n";
    let steps = |name, kustomization: String, object: String| Hostile {
        name,
        budget: "steps",
        files: tree(&kustomization, &[("a.yaml", object)]),
    };
    let many = each(size, object);
    let path = format!("data.[x=c|b{LARGE}].y");
    vec![
        steps(
            "large expressions",
            format!(
                "{resources}patches:\n{}",
                each(size, |at| patch(format!("{LARGE}b{at}")))
            ),
            object(0),
        ),
        steps(
            "expressions × objects",
            format!(
                "{resources}patches:\n{}",
                each(size, |at| patch(format!("n.*x{at}")))
            ),
            many.clone(),
        ),
        steps(
            "expressions × a long name",
            format!(
                "{resources}patches:\n{}",
                each(size, |_| patch(".*b".to_owned()))
            ),
            OBJECT.replace('x', &"a".repeat(300 * size)),
        ),
        steps(
            "expressions in paths",
            format!(
                "{resources}replacements:\n- {{sourceValue: v, targets: [{{select: {{kind: ConfigMap}}, fieldPaths: ['{path}']}}]}}\n"
            ),
            each(size, |at| {
                format!(
                    "{}data: [{{x: c, y: z}}]\n---\n",
                    OBJECT.replace('x', &format!("n{at}"))
                )
            }),
        ),
        steps(
            "expressions of images",
            format!(
                "{resources}images:\n{}",
                each(size, |at| format!(
                    "- {{name: '{LARGE}b{at}', newTag: x}}\n"
                ))
            ),
            object(0),
        ),
    ]
}

/// Folders that lead to ever more folders.
fn folders(size: usize) -> Vec<Hostile> {
    let kustomization = |folder: String, resources: String| {
        let text = format!("resources: [{resources}]\n");
        (format!("{folder}kustomization.yaml"), text)
    };
    let chain =
        (0..size.min(1000)).map(|at| kustomization(format!("{at}/"), format!("../{}", at + 1)));
    let fan = (0..40).flat_map(|at| {
        let both = format!("../{0}, ../{0}b", at + 1);
        [
            kustomization(format!("{at}/"), both.clone()),
            kustomization(format!("{at}b/"), both),
        ]
    });
    let ends = ["40/", "40b/"].map(|end| kustomization(end.to_owned(), String::new()));
    let root = || std::iter::once(kustomization(String::new(), "./0".to_owned()));
    vec![
        Hostile {
            name: "a chain of bases",
            budget: "kustomizations inside one another",
            files: root().chain(chain).collect(),
        },
        Hostile {
            name: "bases that double",
            budget: "kustomizations",
            files: root().chain(fan).chain(ends).collect(),
        },
    ]
}

fn object(name: usize) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{name}}}\n---\n")
}

fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn tree(kustomization: &str, files: &[(&str, String)]) -> Vec<(String, String)> {
    let root = ("kustomization.yaml".to_owned(), kustomization.to_owned());
    let others = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.clone()));
    std::iter::once(root).chain(others).collect()
}
