//! YAML, read and written as go-yaml v3 does it, comments included.
//!
//! Where a comment belongs is decided by go-yaml from the tokens around it, so the file is read token by token here:
//! `tokens` gives them with their places, `comments` finds the text between them, `nodes` builds the nodes with the
//! comments on them, and `branch` makes the ordered items that SOPS encrypts.

mod branch;
mod comments;
mod emitted;
mod nodes;
mod resolve;
mod scalar;
mod tokens;
mod write;

use crate::error::Error;
use crate::error::{ErrorKind, Position};
use crate::format::Format;
use crate::tree::Branch;

pub(crate) use write::write;

/// The deepest nesting that is read.
const DEPTH_LIMIT: usize = 200;

/// Reads all documents.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Branch>, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| problem("the file is not UTF-8", Position::default()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens = tokens::scan(text)?;
    let documents = nodes::parse(tokens)?;
    if let Some(first) = documents.first() {
        branch::refuse_duplicates(&first.root)?;
    }
    let mut budget = branch::Budget::default();
    documents
        .iter()
        .map(|document| branch::document(document, &mut budget))
        .collect()
}

fn problem(problem: &str, position: Position) -> Error {
    ErrorKind::Syntax {
        format: Format::Yaml,
        problem: problem.to_owned(),
    }
    .at(position)
}

#[cfg(test)]
mod tests {
    use super::super::Inline;
    use super::{read, write};

    fn rewrite(text: &str) -> String {
        let branches = read(text.as_bytes()).expect(text);
        String::from_utf8(write(&branches, Inline::Beside).to_vec()).expect("UTF-8")
    }

    #[test]
    fn comments_stay_where_they_are() {
        for text in [
            "b:\n    # about c\n    c: 1\n    # foot\n",
            "# head\na: 1\nl:\n    # first\n    - x\n    # second\n    - z\n    # last\n",
            "a: 1\n#only\n",
            "a: 1 # beside\nb: | # header\n    text\nl:\n    - x # beside too\n",
            "---\n",
        ] {
            assert_eq!(rewrite(text), text.replace("---\n", "{}\n"));
        }
    }
}
