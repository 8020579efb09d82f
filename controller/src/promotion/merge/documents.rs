//! The documents of a file, brought together by kind, namespace and name.

use overlay::yaml::{Child, Laid, LaidDocument, LaidValue};

use super::pen::Pen;
use super::place::Place;
use super::plain::{Plain, plain};
use super::rules::{Rules, Side};
use super::tree::{Merger, Pair, Past};
use super::{Base, Format, Merged, Unmergeable};

/// A document that holds something, by name.
struct Named {
    name: String,
    range: std::ops::Range<usize>,
    /// The root, as a child without a key.
    root: Child,
}

/// Merges all documents of a file that was laid out.
pub(super) fn merge(
    format: Format,
    root: &Place,
    base: Base<'_>,
    [source, target]: [&str; 2],
    rules: &Rules,
) -> Result<Merged, Unmergeable> {
    let laid_base = match base {
        Base::Was(text) => format.lay_out(text)?,
        _ => Vec::new(),
    };
    let (laid_source, laid_target) = (format.lay_out(source)?, format.lay_out(target)?);
    let (sources, targets, bases) = (named(&laid_source), named(&laid_target), named(&laid_base));
    let mut merge = Documents {
        root,
        is_single: sources.len() <= 1 && targets.len() <= 1,
        sources: &sources,
        targets: &targets,
        bases: (base != Base::Unknown).then_some(&bases),
        merger: Merger {
            pen: Pen::new(source, target),
            rules,
            findings: Vec::new(),
        },
        expected: Vec::new(),
    };
    merge.targets(&laid_target);
    merge.sources(source);
    let Documents {
        merger, expected, ..
    } = merge;
    finish(format, merger, &expected)
}

/// The text, when it reads back as what was meant.
fn finish(format: Format, merger: Merger<'_>, expected: &[Plain]) -> Result<Merged, Unmergeable> {
    let Merger { pen, findings, .. } = merger;
    let text = pen.written().ok_or(Unmergeable::Unwritable)?;
    let laid = format.lay_out(&text).map_err(|_| Unmergeable::Unwritable)?;
    let found: Vec<Plain> = named(&laid)
        .iter()
        .map(|document| plain(&document.root.value))
        .collect();
    match found == expected {
        true => Ok(Merged { text, findings }),
        false => Err(Unmergeable::Unwritable),
    }
}

struct Documents<'a, 'p> {
    root: &'p Place,
    /// Both sides have one document, which meet whatever they are called.
    is_single: bool,
    sources: &'a [Named],
    targets: &'a [Named],
    /// `None` where there is no base.
    bases: Option<&'a Vec<Named>>,
    merger: Merger<'a>,
    expected: Vec<Plain>,
}

impl<'a> Documents<'a, '_> {
    fn targets(&mut self, laid: &[LaidDocument]) {
        for document in self.targets {
            let place = self.place(document);
            let past = self.past(&document.name);
            match self.find(self.sources, &document.name) {
                Some(source) => {
                    let pair = Pair {
                        source: &source.root,
                        target: &document.root,
                        flows: [false, false],
                    };
                    let value = self.merger.value(&place, past, pair);
                    self.expected.push(value);
                }
                None if self.merger.rules.is_never(&place)
                    || self.keeps(&place, past, document) =>
                {
                    self.expected.push(plain(&document.root.value));
                }
                None => self.merger.pen.cut(extent(laid, &document.range)),
            }
        }
    }

    fn keeps(&mut self, place: &Place, past: Past<'a>, document: &Named) -> bool {
        let value = plain(&document.root.value);
        self.merger.decide(place, past, None, Some(&value)) == Side::Target
    }

    /// Documents that only the source has go to the end.
    fn sources(&mut self, text: &str) {
        for document in self.sources {
            if self.find(self.targets, &document.name).is_some() {
                continue;
            }
            let place = self.place(document);
            let past = self.past(&document.name);
            let value = plain(&document.root.value);
            if self.merger.decide(&place, past, Some(&value), None) == Side::Target {
                continue;
            }
            let separator = if self.expected.is_empty() {
                ""
            } else {
                "---\n"
            };
            let body = text[document.range.clone()]
                .trim_start_matches("---\n")
                .trim_end();
            self.merger.pen.append(&format!("{separator}{body}\n"));
            self.expected.push(value);
        }
    }

    fn find(&self, among: &'a [Named], name: &str) -> Option<&'a Named> {
        match self.is_single {
            true => among.first(),
            false => among.iter().find(|document| document.name == name),
        }
    }

    fn past(&self, name: &str) -> Past<'a> {
        let Some(bases) = self.bases else {
            return Past::Unknown;
        };
        let found = match self.is_single && bases.len() == 1 {
            true => bases.first(),
            false => bases.iter().find(|document| document.name == name),
        };
        found.map_or(Past::Absent, |document| Past::Was(&document.root.value))
    }

    fn place(&self, document: &Named) -> Place {
        let text = |key: &str| {
            text_at(&document.root.value, &[key])
                .unwrap_or_default()
                .to_owned()
        };
        let mut place = self.root.clone();
        place.api_version = text("apiVersion");
        place.kind = text("kind");
        if !self.is_single {
            place.shown.push_str(&format!("{}:", document.name));
        }
        place
    }
}

fn named(documents: &[LaidDocument]) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    for document in documents {
        let Some(root) = &document.root else {
            continue;
        };
        let mut name = name(root).unwrap_or_else(|| format!("#{}", found.len() + 1));
        if found.iter().any(|other| other.name == name) {
            name = format!("{name}#{}", found.len() + 1);
        }
        found.push(Named {
            name,
            range: document.range.clone(),
            root: whole(root),
        });
    }
    found
}

/// `Kind/name`, or `Kind/namespace/name`.
fn name(root: &Laid) -> Option<String> {
    let kind = text_at(root, &["kind"])?;
    let name = text_at(root, &["metadata", "name"])?;
    Some(match text_at(root, &["metadata", "namespace"]) {
        Some(namespace) => format!("{kind}/{namespace}/{name}"),
        None => format!("{kind}/{name}"),
    })
}

/// The text of a scalar at the end of a path of keys.
pub(super) fn text_at<'a>(root: &'a Laid, path: &[&str]) -> Option<&'a str> {
    match (&root.value, path) {
        (LaidValue::Scalar { text, .. }, []) => Some(text),
        (LaidValue::Mapping(found), [key, rest @ ..]) => {
            let child = found.children.iter().find(|child| child.key == *key)?;
            text_at(&child.value, rest)
        }
        _ => None,
    }
}

/// The root as a child without a key.
pub(super) fn whole(root: &Laid) -> Child {
    Child {
        key: String::new(),
        start: root.range.start,
        after: root.range.start,
        value: root.clone(),
    }
}

/// A document with one of its separators.
fn extent(laid: &[LaidDocument], range: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let index = laid.iter().position(|document| document.range == *range);
    match index {
        Some(index) if index > 0 => laid[index - 1].range.end..range.end,
        _ => range.start..laid.get(1).map_or(range.end, |next| next.range.start),
    }
}
