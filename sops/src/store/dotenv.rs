//! dotenv: lines of `KEY=value`, taken verbatim save that the two letters `\n` are a line break.

use zeroize::Zeroizing;

use super::{flat_text, replace, room};
use crate::error::{Error, ErrorKind, Position};
use crate::flat;
use crate::format::Format;
use crate::tree::{Branch, Item, Node, Pair, Value};

/// What the keys of the metadata start with.
pub(crate) const PREFIX: &str = "sops_";

/// Reads lines.
pub(crate) fn read(bytes: &[u8]) -> Result<Branch, Error> {
    let mut branch = Branch::new();
    for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
        let position = Position {
            line: number,
            column: 1,
        };
        let refused = |problem: &str| {
            ErrorKind::Syntax {
                format: Format::Dotenv,
                problem: problem.to_owned(),
            }
            .at(position)
        };
        match line {
            [] => {}
            [b'#', comment @ ..] => branch.push(Item::comment(comment)),
            _ => {
                let equals = line.iter().position(|&byte| byte == b'=');
                let equals = equals.ok_or_else(|| refused("a line has no equals sign"))?;
                let key = std::str::from_utf8(&line[..equals])
                    .map_err(|_| refused("a key is not UTF-8"))?;
                let value = Value::Text(replace(&line[equals + 1..], b"\\n", b"\n"));
                branch.push(Item::Pair(Pair {
                    key: key.to_owned(),
                    node: Node {
                        position,
                        ..value.into()
                    },
                }));
            }
        }
    }
    Ok(branch)
}

/// Takes the metadata out.
pub(crate) fn take_metadata(branches: &mut [Branch]) -> Result<Branch, Error> {
    let mut found = Vec::new();
    for branch in branches {
        branch.retain(|item| match item {
            Item::Pair(pair) => match pair.key.strip_prefix(PREFIX) {
                Some(key) => {
                    found.push((key.to_owned(), pair.node.clone()));
                    false
                }
                None => true,
            },
            Item::Comment(_) => true,
        });
    }
    if found.is_empty() {
        return Err(ErrorKind::MetadataNotFound.error());
    }
    Ok(flat::unfold(&found)?)
}

/// The metadata as lines.
pub(crate) fn metadata_items(metadata: &Branch) -> Branch {
    flat::fold(metadata, PREFIX)
        .into_iter()
        .map(|(key, node)| Item::pair(key, node))
        .collect()
}

/// Writes lines.
pub(crate) fn write(branch: &Branch) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let mut out = Zeroizing::new(Vec::with_capacity(room(branch, 0)));
    for item in branch {
        match item {
            Item::Comment(comment) => {
                out.push(b'#');
                out.extend(&*comment.text);
            }
            Item::Pair(pair) => {
                let text = flat_text(&pair.node.value).ok_or(ErrorKind::Emit {
                    format: Format::Dotenv,
                    problem: "it has no lists and mappings",
                })?;
                out.extend(pair.key.as_bytes());
                out.push(b'=');
                out.extend(&*replace(&text, b"\n", b"\\n"));
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn lines_are_kept_verbatim() {
        let text = "#c\nexport A = \"x\\ny\"\nA=\nB=#no comment\n";
        let branch = read(text.as_bytes()).expect("reads");
        assert_eq!(write(&branch).expect("writes")[..], *text.as_bytes());
        let error = read(b"A=1\n\nsecret").err().expect("refused");
        assert_eq!(error.position.line, 3);
        assert!(!error.to_string().contains("secret"));
    }
}
