//! Asking a build for the history of an object or a field: `Deployment/shop:spec.replicas`.

use ecow::EcoString;

use super::{Field, ObjectHistory};
use crate::build::Build;
use crate::field_path::element;
use crate::object::{Object, ObjectId};
use crate::refs::field_path;
use crate::suggest::nearest;
use crate::yaml::Node;

/// The history that was asked for.
#[derive(Debug)]
pub struct Answer<'b> {
    /// The object.
    pub object: &'b Object,
    /// Its history.
    pub history: &'b ObjectHistory,
    /// The fields that were asked for: without a path all that are in the output, else those at the path or below it,
    /// and those that were removed from there.
    pub fields: Vec<&'b Field>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unanswered {
    /// What is missing or ambiguous.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl Unanswered {
    fn new(message: String, hint: impl Into<Option<String>>) -> Self {
        Self {
            message,
            hint: hint.into(),
        }
    }
}

/// `KIND/NAME`, `KIND.GROUP/NAME` or `KIND/NAMESPACE/NAME`.
struct Wanted<'w> {
    kind: &'w str,
    group: Option<&'w str>,
    namespace: Option<&'w str>,
    name: &'w str,
}

impl<'w> Wanted<'w> {
    fn parse(text: &'w str, namespace: Option<&'w str>) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, namespace, name),
            [kind, within, name] => (kind, Some(within), name),
            _ => return None,
        };
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group)),
            None => (kind, None),
        };
        Some(Self {
            kind,
            group,
            namespace,
            name,
        })
    }

    fn is_kind(&self, id: &ObjectId) -> bool {
        id.kind.eq_ignore_ascii_case(self.kind)
            && self.group.is_none_or(|group| id.group == group)
            && self
                .namespace
                .is_none_or(|namespace| id.namespace == namespace)
    }

    fn is(&self, id: &ObjectId) -> bool {
        self.is_kind(id) && id.name == self.name
    }
}

impl Build {
    /// The history of what `wanted` means: `KIND/NAME`, and perhaps `:` and the path of a field. The name is the
    /// object's, or one that it had before. Needs [`Options::record_history`](crate::Options::record_history).
    pub fn why(&self, wanted: &str, namespace: Option<&str>) -> Result<Answer<'_>, Unanswered> {
        // Names may hold colons (`system:auth`), and so may keys.
        let ends = wanted.rmatch_indices(':').map(|(end, _)| end);
        for end in std::iter::once(wanted.len()).chain(ends) {
            let (head, path) = wanted.split_at(end);
            let Some(head) = Wanted::parse(head, namespace) else {
                continue;
            };
            if let Some(position) = self.position_of(&head)? {
                let path = path.strip_prefix(':').filter(|path| !path.is_empty());
                return self.answer(position, path);
            }
        }
        let head = wanted.split(':').next().unwrap_or(wanted);
        match Wanted::parse(head, namespace) {
            Some(head) => Err(self.unknown(&head)),
            None => Err(Unanswered::new(
                format!("`{wanted}` names no object"),
                "KIND/NAME does, as in Deployment/shop, and KIND/NAMESPACE/NAME".to_owned(),
            )),
        }
    }

    fn position_of(&self, wanted: &Wanted<'_>) -> Result<Option<usize>, Unanswered> {
        let positions = |test: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..self.objects.len().min(self.history.objects.len()))
                .filter(|position| test(*position))
                .collect()
        };
        let mut found = positions(&|at| wanted.is(&self.objects[at].id));
        if found.is_empty() {
            found = positions(&|at| {
                let earlier = &self.history.objects[at].earlier_names;
                wanted.is_kind(&self.objects[at].id)
                    && earlier.iter().any(|name| name == wanted.name)
            });
        }
        match found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => {
                let ids = found.iter().map(|at| full_name(&self.objects[*at].id));
                Err(Unanswered::new(
                    format!(
                        "{}/{} may mean any of {}",
                        wanted.kind,
                        wanted.name,
                        ids.collect::<Vec<_>>().join(", ")
                    ),
                    "say KIND/NAMESPACE/NAME or KIND.GROUP/NAME".to_owned(),
                ))
            }
        }
    }

    fn answer(&self, position: usize, path: Option<&str>) -> Result<Answer<'_>, Unanswered> {
        let (object, history) = (&self.objects[position], &self.history.objects[position]);
        let fields: Vec<&Field> = match path {
            None => {
                let present = history
                    .fields
                    .iter()
                    .filter(|field| field.value().is_some());
                present.collect()
            }
            Some(path) => {
                let asked = with_positions(&object.node, field_path(path));
                let within = |field: &&Field| field.path.is_within(&asked);
                history.fields.iter().filter(within).collect()
            }
        };
        match path {
            Some(path) if fields.is_empty() => Err(no_field(object, history, path)),
            _ => Ok(Answer {
                object,
                history,
                fields,
            }),
        }
    }

    /// What is said of an object that is not in the output.
    fn unknown(&self, wanted: &Wanted<'_>) -> Unanswered {
        let asked = format!("{}/{}", wanted.kind, wanted.name);
        if let Some(removed) = self.history.removed.iter().find(|gone| wanted.is(&gone.id)) {
            let message = format!("{asked} is not in the output: {} removed it", removed.cause);
            return Unanswered::new(message, None);
        }
        let names: Vec<String> = self
            .objects
            .iter()
            .map(|object| format!("{}/{}", object.id.kind, object.id.name))
            .collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let of_kind = |name: &&&str| {
            let kind = name.split('/').next().unwrap_or_default();
            kind.eq_ignore_ascii_case(wanted.kind)
        };
        let same_kind: Vec<&str> = known.iter().filter(of_kind).copied().collect();
        let hint = match nearest(&asked, &known) {
            Some(near) => Some(format!("did you mean {near}?")),
            None if !same_kind.is_empty() => Some(format!("there is {}", some_of(&same_kind))),
            None if known.is_empty() => None,
            None => Some(format!("there is {}", some_of(&known))),
        };
        Unanswered::new(format!("there is no {asked} in the output"), hint)
    }
}

fn full_name(id: &ObjectId) -> String {
    let kind = match id.group.as_str() {
        "" => id.kind.clone(),
        group => format!("{}.{group}", id.kind),
    };
    match id.namespace.as_str() {
        "" => format!("{kind}/{}", id.name),
        namespace => format!("{kind}/{namespace}/{}", id.name),
    }
}

/// `[name=shop]`, `[port=80]` and `-` become positions.
fn with_positions(object: &Node, mut asked: Vec<EcoString>) -> Vec<EcoString> {
    let mut here = Some(object);
    for part in &mut asked {
        let items = here.and_then(Node::as_sequence);
        if let Some(index) = items.and_then(|items| element(items, part)) {
            *part = ecow::eco_format!("{index}");
        }
        here = match items {
            Some(items) => part
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index)),
            None => here.and_then(|node| node.get(part)),
        };
    }
    asked
}

fn no_field(object: &Object, history: &ObjectHistory, asked: &str) -> Unanswered {
    let mut known: Vec<String> = Vec::new();
    for field in &history.fields {
        let parts = &field.path.0;
        for length in 1..=parts.len() {
            let path = super::FieldPath(parts[..length].to_vec()).to_string();
            if known.last() != Some(&path) {
                known.push(path);
            }
        }
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Unanswered::new(
        format!("{} has no field `{asked}`", object.id),
        nearest(asked, &known).map(|near| format!("did you mean `{near}`?")),
    )
}

/// The first few of many names.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
