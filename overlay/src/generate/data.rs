//! The keys and values of a generator: files of lines, literals and whole files.

use crate::build::Purpose;
use crate::decode::Text;
use crate::error::{Error, Errors, Mistakes};
use crate::kustomization::GeneratorEntry;
use crate::load::{Bytes, Content, Folder, Session};
use crate::path;
use crate::yaml::Mark;

/// A key, its value, and what is known of it.
pub(super) struct Pair {
    pub key: String,
    pub value: Bytes,
    /// Where the value was named.
    pub mark: Mark,
    /// True when the value was decrypted.
    pub secret: bool,
}

/// A line of an `envs` file may be this long; kustomize drops a longer one and all that follow.
const LONGEST_LINE: usize = 64 * 1024;

/// All pairs of an entry, in kustomize's order: lines, literals, files. `opens` says whether encrypted files may be
/// opened, which only Secrets may ask for.
pub(super) fn pairs(
    entry: &GeneratorEntry,
    opens: bool,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Vec<Pair>, Errors> {
    let mut pairs = Vec::new();
    let mut mistakes = Mistakes::default();
    let envs = entry
        .envs
        .iter()
        .chain((!entry.env.is_empty()).then_some(&entry.env));
    for source in envs {
        let purpose = opens.then_some(Purpose::GeneratorEnvs);
        let content = session.content(folder, source, path::base(source), purpose, source.mark);
        let lines = content.and_then(|content| read_lines(&content, source, session));
        let lines = lines.map_err(|error| error.at_mark(source.mark).during("envs"));
        pairs.extend(mistakes.of(lines).into_iter().flatten());
    }
    for literal in &entry.literals {
        let pair = read_literal(literal);
        let tell = |error: Error| error.at_mark(literal.mark).during("literals");
        pairs.extend(mistakes.of(pair.map_err(tell)));
    }
    for source in &entry.files {
        let pair = read_file(source, opens, folder, session);
        let tell = |error: Error| error.at_mark(source.mark).during("files");
        pairs.extend(mistakes.of(pair.map_err(tell)));
    }
    mistakes.of(refuse_repeats(&pairs));
    mistakes.or(pairs)
}

fn refuse_repeats(pairs: &[Pair]) -> Result<(), Error> {
    let mut known = std::collections::HashSet::new();
    match pairs.iter().find(|pair| !known.insert(&pair.key)) {
        Some(pair) if pair.secret => Err(Error::new("a key is there twice").at_mark(pair.mark)),
        Some(pair) => {
            Err(Error::new(format!("the key `{}` is there twice", pair.key)).at_mark(pair.mark))
        }
        None => Ok(()),
    }
}

fn read_file(
    source: &Text,
    opens: bool,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Pair, Error> {
    let (key, path) = match source.split_once('=') {
        None => (path::base(source.trim_end_matches('/')), &**source),
        Some((_, path)) if path.contains('=') => {
            return Err(Error::new(format!("`{}` has more than one `=`", &**source)));
        }
        Some(("", _)) => return Err(Error::new(format!("`{}` has no key before `=`", &**source))),
        Some((_, "")) => {
            return Err(Error::new(format!(
                "`{}` has no path behind `=`",
                &**source
            )));
        }
        Some(pair) => pair,
    };
    let purpose = opens.then_some(Purpose::GeneratorFile);
    let content = session.content(folder, path, key, purpose, source.mark)?;
    Ok(Pair {
        key: key.to_owned(),
        value: content.bytes,
        mark: source.mark,
        secret: content.secret,
    })
}

fn read_literal(literal: &Text) -> Result<Pair, Error> {
    match literal.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Pair {
            key: key.to_owned(),
            value: Bytes::Stored(without_quotes(value).as_bytes().into()),
            mark: literal.mark,
            secret: false,
        }),
        _ => Err(Error::new("a literal is `key=value`")),
    }
}

/// One layer of quotes goes, when the same quote stands at both ends.
fn without_quotes(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

fn read_lines(
    content: &Content,
    source: &Text,
    session: &mut Session<'_>,
) -> Result<Vec<Pair>, Error> {
    let mut pairs = Vec::new();
    let bytes: &[u8] = &content.bytes;
    let lines = bytes
        .strip_suffix(b"\n")
        .unwrap_or(bytes)
        .split(|byte| *byte == b'\n');
    for (number, line) in lines.enumerate() {
        if line.len() >= LONGEST_LINE {
            session.warn(source.mark, format!(
                "line {} of {} is longer than 64 KiB: it and the lines behind it are left out, as in kustomize",
                number + 1,
                &**source
            ));
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| {
            Error::new(format!("line {} of {} is not UTF-8", number + 1, &**source))
        })?;
        let text = if number == 0 {
            text.strip_prefix('\u{feff}').unwrap_or(text)
        } else {
            text
        };
        let text = text.trim_start();
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        let value = value.as_bytes();
        pairs.push(Pair {
            key: key.to_owned(),
            value: if content.secret {
                Bytes::Opened(value.to_vec().into())
            } else {
                Bytes::Stored(value.into())
            },
            mark: source.mark,
            secret: content.secret,
        });
    }
    Ok(pairs)
}
