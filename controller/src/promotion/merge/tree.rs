//! The merge of three versions of a value: what only the source changed is written into the target, what only the target
//! changed stays, and where both did, people decide.

use overlay::yaml::{Child, Collection, Laid, LaidValue, Tag};

use super::embedded;
use super::finding::{Finding, What};
use super::lists::{self, Identity};
use super::pen::{Insertion, Pen};
use super::place::Place;
use super::plain::{Plain, plain};
use super::rules::{Rules, Side, shown};

/// A value as it was at the base.
#[derive(Clone, Copy, Debug)]
pub(super) enum Past<'a> {
    /// There is no base.
    Unknown,
    /// The base had nothing here.
    Absent,
    /// The base had this.
    Was(&'a Laid),
}

/// Children of a collection by name.
type Named<'a> = Vec<(String, &'a Child)>;

/// Children of the base; `None` where there is no base.
type PastChildren<'a> = Option<Named<'a>>;

/// Two versions of a child, and how they stand in their collections.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) source: &'a Child,
    pub(super) target: &'a Child,
    /// Whether source and target stand in brackets.
    pub(super) flows: [bool; 2],
}

pub(super) struct Merger<'a> {
    pub(super) pen: Pen<'a>,
    pub(super) rules: &'a Rules,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Merger<'a> {
    /// Merges two versions of a value, and gives what the target holds then.
    pub(super) fn value(&mut self, place: &Place, past: Past<'a>, pair: Pair<'a>) -> Plain {
        let target = plain(&pair.target.value);
        if plain(&pair.source.value) == target || self.rules.is_never(place) {
            return target;
        }
        if self.rules.is_pinned(place) {
            return self.leaf(place, past, pair);
        }
        match (&pair.source.value.value, &pair.target.value.value) {
            (LaidValue::Mapping(source), LaidValue::Mapping(target)) => {
                self.mapping(place, past, pair, [source, target])
            }
            (LaidValue::Sequence(source), LaidValue::Sequence(target)) => {
                self.list(place, past, pair, [source, target])
            }
            _ => match embedded::merge(place, past, pair, self.rules) {
                Some(merged) => self.embedded(place, pair, merged),
                None => self.leaf(place, past, pair),
            },
        }
    }

    /// Both have a value, and it is taken as one.
    fn leaf(&mut self, place: &Place, past: Past<'a>, pair: Pair<'a>) -> Plain {
        let (source, target) = (plain(&pair.source.value), plain(&pair.target.value));
        match self.decide(place, past, Some(&source), Some(&target)) {
            Side::Target => target,
            Side::Source => {
                self.pen.replace(pair.source, pair.target, pair.flows);
                source
            }
        }
    }

    fn embedded(&mut self, place: &Place, pair: Pair<'a>, merged: super::Merged) -> Plain {
        self.findings.extend(merged.findings);
        let target = plain(&pair.target.value);
        if target.text() == Some(merged.text.as_str()) || self.rules.is_never(place) {
            return target;
        }
        self.pen.rewrite(pair.target, &merged.text);
        Plain::Scalar {
            text: merged.text,
            tag: Tag::Str,
        }
    }

    fn mapping(
        &mut self,
        place: &Place,
        past: Past<'a>,
        pair: Pair<'a>,
        [source, target]: [&'a Collection; 2],
    ) -> Plain {
        let by_key = |collection: &'a Collection| -> Named<'a> {
            let children = collection.children.iter();
            children.map(|child| (child.key.clone(), child)).collect()
        };
        let past = match past {
            Past::Unknown => None,
            Past::Was(Laid {
                value: LaidValue::Mapping(base),
                ..
            }) => Some(by_key(base)),
            _ => Some(Vec::new()),
        };
        let names = Names {
            past,
            source: by_key(source),
            target: by_key(target),
            step: Place::key,
        };
        let merged = self.children(place, names, pair, [source, target]);
        Plain::Mapping(merged.into_iter().collect())
    }

    fn list(
        &mut self,
        place: &Place,
        past: Past<'a>,
        pair: Pair<'a>,
        [source, target]: [&'a Collection; 2],
    ) -> Plain {
        let base = match past {
            Past::Was(Laid {
                value: LaidValue::Sequence(base),
                ..
            }) => base.children.as_slice(),
            _ => &[],
        };
        let versions = [base, &source.children, &target.children];
        let Some(identity) = lists::identity(place, &versions) else {
            return self.leaf(place, past, pair);
        };
        let by_name = |items: &'a [Child]| -> Named<'a> {
            let named = |item| Some((lists::name(identity, item)?, item));
            items.iter().filter_map(named).collect()
        };
        let named = versions.map(by_name);
        let [base_names, source_names, target_names] = named.clone().map(names_of);
        if identity == Identity::Value
            && lists::both_replaced(&base_names, &source_names, &target_names)
        {
            return self.leaf(place, past, pair);
        }
        let [base, source_items, target_items] = named;
        let names = Names {
            past: (!matches!(past, Past::Unknown)).then_some(base),
            source: source_items,
            target: target_items,
            step: Place::item,
        };
        let (mark, told) = (self.pen.mark(), self.findings.len());
        let merged = self.children(place, names, pair, [source, target]);
        let merged: Vec<Plain> = merged.into_iter().map(|(_, value)| value).collect();
        if self.is_reordered(place, past, pair, &merged) {
            // Only the source changed the list, and its order too: the list as it stands in the source.
            self.pen.forget(mark);
            self.findings.truncate(told);
            return self.leaf(place, past, pair);
        }
        Plain::Sequence(merged)
    }

    /// True when the source has what was merged in another order, and its order counts: the target has the list as it
    /// was, or the source's side was chosen.
    fn is_reordered(
        &self,
        place: &Place,
        past: Past<'a>,
        pair: Pair<'a>,
        merged: &[Plain],
    ) -> bool {
        let Plain::Sequence(source) = plain(&pair.source.value) else {
            return false;
        };
        let is_untouched = match past {
            Past::Was(base) => plain(base) == plain(&pair.target.value),
            _ => false,
        };
        (is_untouched || self.rules.choice(place) == Some(Side::Source))
            && source != merged
            && source.len() == merged.len()
            && source.iter().all(|item| merged.contains(item))
    }

    /// Merges children that were brought together by their names, and gives them in the order of the target.
    fn children(
        &mut self,
        place: &Place,
        names: Names<'a>,
        pair: Pair<'a>,
        [source, target]: [&'a Collection; 2],
    ) -> Vec<(String, Plain)> {
        let flows = [source.is_flow, target.is_flow];
        let mut merged = Vec::new();
        let mut removed = Vec::new();
        for (index, (name, child)) in names.target.iter().enumerate() {
            let place = (names.step)(place, name);
            let past = names.past(name);
            match find(&names.source, name) {
                Some(source) => {
                    let pair = Pair {
                        source,
                        target: child,
                        flows,
                    };
                    merged.push((name.clone(), self.value(&place, past, pair)));
                }
                None if self.stays(&place, past, child) => {
                    merged.push((name.clone(), plain(&child.value)));
                }
                None => removed.push(index),
            }
        }
        let insertions = self.insertions(place, &names, source, &mut merged);
        self.write(pair, target, &removed, &insertions, &merged);
        merged
    }

    /// Whether a child that only the target has stays there.
    fn stays(&mut self, place: &Place, past: Past<'a>, child: &Child) -> bool {
        self.rules.is_never(place)
            || self.decide(place, past, None, Some(&plain(&child.value))) == Side::Target
    }

    /// The children that the source brings, each behind its neighbour in the source.
    fn insertions(
        &mut self,
        place: &Place,
        names: &Names<'a>,
        source: &'a Collection,
        merged: &mut Vec<(String, Plain)>,
    ) -> Vec<Insertion<'a>> {
        let mut insertions = Vec::new();
        for (index, (name, child)) in names.source.iter().enumerate() {
            if find(&names.target, name).is_some() {
                continue;
            }
            let place = (names.step)(place, name);
            let value = plain(&child.value);
            let past = names.past(name);
            if self.rules.is_never(&place)
                || self.decide(&place, past, Some(&value), None) == Side::Target
            {
                continue;
            }
            let before = names.source[..index].iter().rev();
            let neighbour = before
                .filter_map(|(name, _)| merged.iter().position(|(known, _)| known == name))
                .next();
            let behind = neighbour.and_then(|at| {
                let known = merged[..=at].iter().rev();
                known
                    .filter_map(|(name, _)| position(&names.target, name))
                    .next()
            });
            insertions.push(Insertion {
                child,
                is_flow: source.is_flow,
                is_first: index == 0,
                behind,
            });
            merged.insert(neighbour.map_or(0, |at| at + 1), (name.clone(), value));
        }
        insertions
    }

    /// Writes what became of a collection.
    fn write(
        &mut self,
        pair: Pair<'a>,
        target: &Collection,
        removed: &[usize],
        insertions: &[Insertion<'a>],
        merged: &[(String, Plain)],
    ) {
        if removed.is_empty() && insertions.is_empty() {
            return;
        }
        if removed.len() < target.children.len() {
            return self.pen.restructure(target, removed, insertions);
        }
        let value = match &pair.target.value.value {
            LaidValue::Sequence(_) => {
                Plain::Sequence(merged.iter().map(|(_, value)| value.clone()).collect())
            }
            _ => Plain::Mapping(merged.iter().cloned().collect()),
        };
        match value == plain(&pair.source.value) {
            true => self.pen.replace(pair.source, pair.target, pair.flows),
            false => self.pen.put_line(pair.target, &value, pair.flows[1]),
        }
    }

    /// Whose value a place gets; what was found is noted.
    pub(super) fn decide(
        &mut self,
        place: &Place,
        past: Past<'_>,
        source: Option<&Plain>,
        target: Option<&Plain>,
    ) -> Side {
        let base = match past {
            Past::Unknown => None,
            Past::Absent => Some(None),
            Past::Was(laid) => Some(Some(plain(laid))),
        };
        let base_shown = base.clone().flatten().map(|value| shown(place, &value));
        let chosen = self.rules.choice(place);
        let (what, side) = match base.as_ref().map(Option::as_ref) {
            _ if self.rules.is_pinned(place) => (What::Pinned, Side::Target),
            _ if chosen == Some(Side::Source) => (What::Taken, Side::Source),
            Some(base) if base == target && chosen.is_none() => (What::Taken, Side::Source),
            Some(base) if base == source && target.is_none() => (What::StaysDeleted, Side::Target),
            Some(base) if base == source => (What::Kept, Side::Target),
            _ if chosen == Some(Side::Target) => (What::Kept, Side::Target),
            None => (What::Unmet, Side::Target),
            Some(_) => (What::Conflict, Side::Target),
        };
        self.findings.push(Finding {
            path: place.shown.clone(),
            what,
            base: base_shown,
            source: source.map(|value| shown(place, value)),
            target: target.map(|value| shown(place, value)),
        });
        side
    }
}

/// The children of three versions, by name.
struct Names<'a> {
    past: PastChildren<'a>,
    source: Named<'a>,
    target: Named<'a>,
    /// The place of a child.
    step: fn(&Place, &str) -> Place,
}

impl<'a> Names<'a> {
    fn past(&self, name: &str) -> Past<'a> {
        match &self.past {
            None => Past::Unknown,
            Some(children) => {
                find(children, name).map_or(Past::Absent, |child| Past::Was(&child.value))
            }
        }
    }
}

fn find<'a>(named: &Named<'a>, name: &str) -> Option<&'a Child> {
    let found = named.iter().find(|(known, _)| known == name);
    found.map(|(_, child)| *child)
}

fn position(named: &Named<'_>, name: &str) -> Option<usize> {
    named.iter().position(|(known, _)| known == name)
}

fn names_of(named: Named<'_>) -> Vec<String> {
    named.into_iter().map(|(name, _)| name).collect()
}
