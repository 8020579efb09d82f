//! Documents become manifests: lists are taken apart, and what is no object is refused.

use std::collections::VecDeque;

use crate::error::{Error, Errors, Mistakes};
use crate::files::Files;
use crate::object::Origin;
use crate::resource::{PreviousId, Resource};
use crate::resources::Resources;
use crate::yaml::{Node, Value};

/// The manifests of the documents of one file. The items of a `…List` stand behind the other documents.
pub(crate) fn manifests(documents: &[Node], files: &Files) -> Result<Vec<Resource>, Errors> {
    let mut waiting: VecDeque<Node> = VecDeque::new();
    let mut mistakes = Mistakes::default();
    for document in documents {
        mistakes.of(add_checked(document, &mut waiting));
    }
    let mut found = Vec::with_capacity(waiting.len());
    while let Some(node) = waiting.pop_front() {
        match mistakes.of(list_items(&node)).flatten() {
            Some(items) => {
                for item in &items {
                    mistakes.of(add_checked(item, &mut waiting));
                }
            }
            None => found.extend(mistakes.of(manifest(node, files))),
        }
    }
    mistakes.or(found)
}

fn manifest(node: Node, files: &Files) -> Result<Resource, Error> {
    let node = with_open_identity(node);
    let origin = Origin {
        place: files.place(node.mark),
        generator: None,
    };
    let previous = written_ids(&node)?;
    Ok(Resource {
        previous,
        ..Resource::new(node, origin)
    })
}

/// Earlier ids that the manifest itself says, in the annotations in which kustomize keeps them.
fn written_ids(node: &Node) -> Result<Vec<PreviousId>, Error> {
    let Some(annotations) = node.find(&["metadata", "annotations"]) else {
        return Ok(Vec::new());
    };
    let list = |what: &str| -> Option<Vec<&str>> {
        let key = format!("internal.config.kubernetes.io/previous{what}");
        Some(annotations.get(&key)?.exposed()?.split(',').collect())
    };
    let Some(names) = list("Names") else {
        return Ok(Vec::new());
    };
    let (kinds, namespaces) = (list("Kinds"), list("Namespaces"));
    let (kinds, namespaces) = (kinds.unwrap_or_default(), namespaces.unwrap_or_default());
    if names.len() != kinds.len() || names.len() != namespaces.len() {
        return Err(
            Error::new("the annotations of previous ids are not of one length")
                .at_mark(annotations.mark),
        );
    }
    let ids = names.iter().zip(kinds).zip(namespaces);
    Ok(ids
        .map(|((name, kind), namespace)| PreviousId {
            kind: kind.into(),
            name: (*name).into(),
            namespace: namespace.into(),
        })
        .collect())
}

/// Takes the mark off what identifies an object: inventories, events and plans name it, and so does the cluster.
fn with_open_identity(mut node: Node) -> Node {
    for path in [
        &["apiVersion"][..],
        &["kind"],
        &["metadata", "name"],
        &["metadata", "namespace"],
    ] {
        let secret = node.find(path).is_some_and(Node::is_secret);
        let field = path.iter().try_fold(&mut node, |node, key| match secret {
            true => node.get_mut(key),
            false => None,
        });
        if let Some(field) = field
            && let Value::Secret(sealed) = &field.value
        {
            let open = Node::scalar(sealed.expose(), sealed.tag);
            *field = open.at(field.mark);
        }
    }
    node
}

/// The same as a collection, in which no object is there twice.
pub(crate) fn collection(documents: &[Node], files: &Files) -> Result<Resources, Errors> {
    Resources::from_list(manifests(documents, files)?)
}

/// The items of an object that is a list; none when it is an object of its own.
fn list_items(node: &Node) -> Result<Option<Vec<Node>>, Error> {
    if !node
        .get("kind")
        .and_then(Node::exposed)
        .is_some_and(|kind| kind.ends_with("List"))
    {
        return Ok(None);
    }
    match node.get("items") {
        None => Ok(None),
        Some(items) if items.is_null() => Ok(Some(Vec::new())),
        Some(items) => match items.as_sequence() {
            Some(items) => Ok(Some(items.to_vec())),
            None => Err(Error::new("the `items` of a list are no list").at_mark(items.mark)),
        },
    }
}

/// Passes over what is empty; refuses what has no kind or no name.
fn add_checked(node: &Node, waiting: &mut VecDeque<Node>) -> Result<(), Error> {
    if is_empty(node) {
        return Ok(());
    }
    check(node).map_err(|error| error.at_mark(node.mark))?;
    waiting.push_back(node.clone());
    Ok(())
}

fn is_empty(node: &Node) -> bool {
    node.is_null()
        || node.as_sequence().is_some_and(<[Node]>::is_empty)
        || node.as_mapping().is_some_and(|mapping| mapping.is_empty())
}

fn check(node: &Node) -> Result<(), Error> {
    if node.as_mapping().is_none() {
        return Err(Error::new("a manifest is a mapping"));
    }
    let text = |path: &[&str]| {
        let node = node.find(path).filter(|node| !node.is_null());
        node.and_then(Node::exposed).unwrap_or_default()
    };
    let kind = text(&["kind"]);
    if kind.is_empty() {
        return Err(Error::new("a manifest needs a `kind`"));
    }
    if !kind.ends_with("List") && text(&["metadata", "name"]).is_empty() {
        return Err(Error::new(format!("this {kind} needs a `metadata.name`")));
    }
    Ok(())
}
