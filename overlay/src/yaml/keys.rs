//! Keys: text in kustomize's files; in manifests that are applied directly, what sigs.k8s.io/yaml makes of them.

use super::number::{Number, parse_number, write_number};
use super::problem::{Problem, ProblemKind};
use super::resolve::truth;
use super::{Dialect, Key, Node, Tag, Value};

/// The key that a node stands for. At the root of a document kustomize takes any scalar's text.
pub(super) fn read_key(node: &Node, dialect: Dialect, is_root: bool) -> Result<Key, Problem> {
    let mark = node.mark;
    let Value::Scalar(scalar) = &node.value else {
        return Err(ProblemKind::KeyCollection.at(mark.line, u32::from(mark.column)));
    };
    let text = match (scalar.tag, dialect) {
        (Tag::Str, _) => Some(scalar.text.clone()),
        (_, Dialect::Kubernetes) => convert_key(&scalar.text, scalar.tag).map(Into::into),
        (tag, Dialect::Kustomize) => (is_root && tag != Tag::Null).then(|| scalar.text.clone()),
    };
    match text {
        Some(text) => Ok(Key { text, mark }),
        None => {
            let kind = ProblemKind::KeyType(scalar.text.to_string());
            Err(kind.at(mark.line, u32::from(mark.column)))
        }
    }
}

/// Numbers and truth values become text on the way to JSON; null does not.
fn convert_key(text: &str, tag: Tag) -> Option<String> {
    match (tag, parse_number(text)) {
        (Tag::Bool, _) => truth(text).map(|value| value.to_string()),
        (Tag::Int | Tag::Float, Some(number)) if !matches!(number, Number::Uint(_)) => {
            let mut out = String::new();
            write_number(&mut out, single_precision(number));
            Some(out)
        }
        _ => None,
    }
}

/// Float keys are printed with the digits of a 32-bit float.
fn single_precision(number: Number) -> Number {
    match number {
        Number::Float(value) => (value as f32)
            .to_string()
            .parse()
            .map_or(number, Number::Float),
        _ => number,
    }
}
