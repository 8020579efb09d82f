//! What somebody still has to fill in, or to look at: values that other environments have otherwise, and lists that name
//! the model.

use overlay::path::{base, join};
use overlay::yaml::{Dialect, Node, Value, read_documents};
use overlay::{EntryKind, Tree, TreeError};

use super::Request;
use crate::environments::Graph;
use crate::promotion::overlaid::Changes;

/// Files that say what a folder is made of; what they hold is form, not value.
const FORM: [&str; 5] = [
    "kustomization.yaml",
    "kustomization.yml",
    "Kustomization",
    "gotk-sync.yaml",
    "gotk-components.yaml",
];

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Open {
    /// The file.
    pub file: String,
    /// The line; 0 for the whole file.
    pub line: u32,
    /// What there is to do.
    pub what: String,
}

/// A scalar and where it stands.
struct Leaf {
    path: String,
    text: String,
    line: u32,
}

/// Values that are still the model's, and that its siblings have otherwise; without siblings, all that the ConfigMaps say.
pub(super) fn values(
    tree: &dyn Tree,
    request: &Request<'_>,
    changes: &Changes,
) -> Result<Vec<Open>, TreeError> {
    let mut open = Vec::new();
    for (from, to) in &request.places.pairs {
        for (path, bytes) in changes
            .range(format!("{to}/")..)
            .take_while(|(path, _)| path.starts_with(&format!("{to}/")))
        {
            let (Some(bytes), false) = (bytes, FORM.contains(&base(path))) else {
                continue;
            };
            let rest = &path[to.len() + 1..];
            let model = leaves(&tree.read(&join(from, rest))?);
            let siblings = siblings(tree, from, rest)?;
            for leaf in leaves(bytes) {
                let is_models = model
                    .iter()
                    .any(|other| other.path == leaf.path && other.text == leaf.text);
                if is_models && differs(&leaf, &siblings) {
                    open.push(Open {
                        file: path.clone(),
                        line: leaf.line,
                        what: format!(
                            "{} is that of {}: {}",
                            leaf.path, request.model.name, leaf.text
                        ),
                    });
                }
            }
        }
    }
    Ok(open)
}

/// The same file of the environments beside the model.
fn siblings(tree: &dyn Tree, model: &str, rest: &str) -> Result<Vec<Vec<Leaf>>, TreeError> {
    let folder = model.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut siblings = Vec::new();
    for entry in tree.list(folder)? {
        let sibling = join(folder, &entry.name);
        let file = join(&sibling, rest);
        if sibling != model && tree.kind(&file)? == Some(EntryKind::File) {
            siblings.push(leaves(&tree.read(&file)?));
        }
    }
    Ok(siblings)
}

fn differs(leaf: &Leaf, siblings: &[Vec<Leaf>]) -> bool {
    let others = siblings
        .iter()
        .flatten()
        .filter(|other| other.path == leaf.path);
    match siblings.is_empty() {
        true => leaf.path.starts_with("data."),
        false => others.into_iter().any(|other| other.text != leaf.text),
    }
}

fn leaves(bytes: &[u8]) -> Vec<Leaf> {
    let documents = read_documents(bytes, 0, Dialect::Kustomize).unwrap_or_default();
    let mut found = Vec::new();
    documents
        .iter()
        .for_each(|document| collect(document, String::new(), &mut found));
    found
}

fn collect(node: &Node, path: String, found: &mut Vec<Leaf>) {
    let below = |key: &str| match path.as_str() {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match &node.value {
        Value::Scalar(scalar) => found.push(Leaf {
            path,
            text: scalar.text.to_string(),
            line: node.mark.line,
        }),
        Value::Secret(_) => {}
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, below(&index.to_string()), found);
            }
        }
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                collect(value, below(&key.text), found);
            }
        }
    }
}

/// Kustomizations of other folders that name the model's.
pub(super) fn lists(graph: &Graph, request: &Request<'_>) -> Vec<Open> {
    let mut open = Vec::new();
    for (from, to) in &request.places.pairs {
        let folders = graph.folders.by_path.values();
        let lists = folders.filter(|folder| {
            folder
                .bases
                .iter()
                .chain(&folder.components)
                .any(|base| base == from)
        });
        open.extend(lists.map(|folder| Open {
            file: folder.file.clone(),
            line: 0,
            what: format!("it names {from}; {to} may belong there, too"),
        }));
    }
    open
}
