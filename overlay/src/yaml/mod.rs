//! YAML as Kubernetes' Go tools read and write it: a tree of nodes with positions, a reader, a writer.
//!
//! Reading follows go-yaml v3 (kustomize) or v2 (what is applied after substitution): see [`Dialect`].
//! Writing is go-yaml v2's: sorted keys, folding at 80 columns, quotes where YAML 1.1 would read another type.

mod block;
mod builder;
mod escape;
mod granit;
mod json;
mod key_order;
mod keys;
mod layout;
mod limits;
mod merge_keys;
mod node;
mod number;
mod old_breaks;
mod problem;
mod read;
mod resolve;
mod scalar_shape;
mod split;
mod tag;
mod timestamp;
mod write;
mod write_scalar;

pub use json::{from_json, json_text_revealed, to_json};
pub use key_order::compare_keys;
pub(crate) use key_order::sort_keys;
pub use layout::{Child, Collection, Laid, LaidDocument, LaidValue, LayoutError, lay_out};
pub use limits::Limits;
pub use node::{Key, Mapping, Mark, Node, Scalar, Secret, Style, Tag, Value};
pub use number::{Number, number_value, parse_number, through_json, write_number};
pub use problem::{Problem, ProblemKind};
pub use read::{Source, read, read_by_events, read_source};
pub use resolve::{resolve, stays_text, truth};
pub use timestamp::{is_timestamp, to_rfc3339};
pub use write::Secrets;

/// Which reader's scalar rules apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// go-yaml v3, as kustomize reads files: `yes` is a string, `0755` is 493.
    #[default]
    Kustomize,
    /// go-yaml v2, as Kubernetes reads manifests: `yes` is true, dates are text, keys become strings.
    Kubernetes,
}

/// Reads all documents of a file that are not empty. `file` is the number that the nodes' marks carry; the
/// places of errors have no file name: a caller that has one uses [`read_source`].
pub fn read_documents(
    bytes: &[u8],
    file: u16,
    dialect: Dialect,
) -> Result<Vec<Node>, crate::Error> {
    read_source(
        bytes,
        &Source {
            file,
            dialect,
            ..Source::default()
        },
    )
}

/// Writes documents joined by `---`, as `kustomize build` prints them; secret scalars print as `***`.
pub fn write_documents(nodes: &[&Node]) -> String {
    let mut out = String::new();
    join_documents(&mut out, nodes, Secrets::Masked);
    out
}

/// Appends one document without a separator; secret scalars print as `***`.
pub(crate) fn push_document(out: &mut String, node: &Node) {
    write::write_document(out, node, Secrets::Masked);
}

/// The same with secret scalars in the clear: for the apply serializer and `weir secrets decrypt` only.
/// The text is wiped when it is dropped, and was never moved while it grew.
pub fn write_documents_revealed(nodes: &[&Node]) -> zeroize::Zeroizing<String> {
    let masked = write_documents(nodes).len();
    let secret: usize = nodes.iter().map(|node| room_for_secrets(node, 0)).sum();
    let mut out = String::with_capacity(masked + secret);
    join_documents(&mut out, nodes, Secrets::Revealed);
    out.into()
}

/// No less than the secrets in a node take when they are printed: each character escaped, folded at each blank.
fn room_for_secrets(node: &Node, level: usize) -> usize {
    const LONGEST_ESCAPE: usize = 10;
    match &node.value {
        Value::Scalar(_) => 0,
        Value::Secret(secret) => {
            let text = secret.expose();
            let lines = text
                .bytes()
                .filter(|byte| matches!(byte, b' ' | b'\n'))
                .count()
                + 2;
            text.len() * LONGEST_ESCAPE + lines * (2 * level + 6)
        }
        Value::Sequence(items) => items
            .iter()
            .map(|item| room_for_secrets(item, level + 1))
            .sum(),
        Value::Mapping(mapping) => mapping
            .iter()
            .map(|(_, value)| room_for_secrets(value, level + 1))
            .sum(),
    }
}

fn join_documents(out: &mut String, nodes: &[&Node], secrets: Secrets) {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        write::write_document(out, node, secrets);
    }
}

/// The text that `!!binary` stands for; what is no UTF-8 in it is replaced, as on the way through JSON.
fn binary_text(base64: &str) -> String {
    use base64::Engine as _;
    let compact: String = base64
        .chars()
        .filter(|char| !matches!(char, '\r' | '\n'))
        .collect();
    match base64::engine::general_purpose::STANDARD.decode(compact) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => base64.to_owned(),
    }
}
