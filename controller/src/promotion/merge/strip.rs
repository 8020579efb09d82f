//! Taking out of a text what never travels: fields that the rules name, entries that lead back to the source.

use overlay::yaml::{Child, Collection, Laid, LaidValue};

use super::documents::{text_at, whole};
use super::lists;
use super::pen::Pen;
use super::place::Place;
use super::rules::Rules;
use super::{Format, Unmergeable};

/// The text without what never travels.
pub(super) fn strip(
    format: Format,
    root: &Place,
    text: &str,
    rules: &Rules,
) -> Result<String, Unmergeable> {
    let is_generating = text.contains("secretGenerator");
    if rules.never.is_empty() && rules.home.is_empty() && !is_generating {
        return Ok(text.to_owned());
    }
    let documents = format.lay_out(text)?;
    let mut stripper = Stripper {
        pen: Pen::new("", text),
        rules,
    };
    for laid in documents
        .iter()
        .filter_map(|document| document.root.as_ref())
    {
        let mut place = root.clone();
        place.kind = text_at(laid, &["kind"]).unwrap_or_default().to_owned();
        place.api_version = text_at(laid, &["apiVersion"])
            .unwrap_or_default()
            .to_owned();
        stripper.child(&place, &whole(laid), false);
    }
    stripper.pen.written().ok_or(Unmergeable::Unwritable)
}

struct Stripper<'a> {
    pen: Pen<'a>,
    rules: &'a Rules,
}

impl Stripper<'_> {
    fn child(&mut self, place: &Place, child: &Child, is_flow: bool) {
        let (collection, is_list) = match &child.value.value {
            LaidValue::Mapping(found) => (found, false),
            LaidValue::Sequence(found) => (found, true),
            _ => return,
        };
        let places: Vec<Place> = places(place, collection, is_list);
        let goes = |index: &usize| self.goes(&places[*index], &collection.children[*index].value);
        let removed: Vec<usize> = (0..collection.children.len()).filter(goes).collect();
        if !removed.is_empty() && removed.len() == collection.children.len() {
            let empty = match is_list {
                true => super::plain::Plain::Sequence(Vec::new()),
                false => super::plain::Plain::Mapping(Default::default()),
            };
            return self.pen.put_line(child, &empty, is_flow);
        }
        self.pen.restructure(collection, &removed, &[]);
        for (index, child) in collection.children.iter().enumerate() {
            if !removed.contains(&index) {
                self.child(&places[index], child, collection.is_flow);
            }
        }
    }

    fn goes(&self, place: &Place, value: &Laid) -> bool {
        if self.rules.is_never(place) {
            return true;
        }
        let leads_home = |value: &Laid| match &value.value {
            LaidValue::Scalar { text, .. } => self.rules.leads_home(place, text),
            _ => false,
        };
        match &value.value {
            // A list of nothing else.
            LaidValue::Sequence(found) if !found.children.is_empty() => {
                found.children.iter().all(|child| leads_home(&child.value))
            }
            _ => leads_home(value),
        }
    }
}

fn places(place: &Place, collection: &Collection, is_list: bool) -> Vec<Place> {
    let children = collection.children.as_slice();
    if !is_list {
        return children.iter().map(|child| place.key(&child.key)).collect();
    }
    let identity = lists::identity(place, &[children]);
    let name = |(index, child): (usize, &Child)| {
        let name = identity.and_then(|identity| lists::name(identity, child));
        place.item(&name.unwrap_or_else(|| index.to_string()))
    };
    children.iter().enumerate().map(name).collect()
}
