//! The model's texts under the new name: paths that lead to its folders, and its name where it is a word of its own. A
//! path that leads elsewhere (a stage, a component, a file) stays, whatever its parts are called.

use overlay::path::{base, clean};
use overlay::{EntryKind, Tree, TreeError};

use super::Request;

/// What ends a path in a text, besides white space.
const SEPARATORS: &str = "\"'`,;:=#^$|!?&()[]{}<>\\";

/// A text of the repository, as far as its place tells where paths lead.
struct Text<'a> {
    tree: &'a dyn Tree,
    request: &'a Request<'a>,
    folder: &'a str,
}

/// The text of a file with the new folders and the new name in the place of the model's.
pub(super) fn renamed(
    tree: &dyn Tree,
    request: &Request<'_>,
    file: &str,
    text: &str,
) -> Result<String, TreeError> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let place = Text {
        tree,
        request,
        folder,
    };
    let is_end = |char: char| char.is_whitespace() || SEPARATORS.contains(char);
    let mut done = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_end) {
        let token = piece.strip_suffix(is_end).unwrap_or(piece);
        done.push_str(&place.token(token)?);
        done.push_str(&piece[token.len()..]);
    }
    Ok(done)
}

impl Text<'_> {
    /// A piece that may be a path. What is put in is not looked at again: the new name may hold the old one.
    fn token(&self, token: &str) -> Result<String, TreeError> {
        if let Some(moved) = self.inside(token) {
            return Ok(moved);
        }
        let name = &self.request.model.name;
        let word = words(token, name).first().map(|at| at + name.len());
        let is_held = has_part(token, self.pairs());
        let is_named = word.is_some() || is_held;
        if !is_named || self.is_elsewhere(token, word.unwrap_or(token.len()))? {
            return Ok(token.to_owned());
        }
        Ok(match is_held {
            true => folders_replaced(token, self.pairs()),
            false => words_replaced(token, name, self.request.name),
        })
    }

    fn pairs(&self) -> &[(String, String)] {
        &self.request.places.pairs
    }

    /// A path from the root, or from the file, that leads into a folder of the model: into the new one's.
    fn inside(&self, token: &str) -> Option<String> {
        let is_named = |(from, _): &(String, String)| token.contains(base(from));
        if !token.contains('/') || !self.pairs().iter().any(is_named) {
            return None;
        }
        let ends = token.match_indices('/').map(|(end, _)| end);
        for end in ends.chain([token.len()]) {
            let paths = ["", self.folder].map(|folder| clean(folder, &token[..end]));
            let leads = |(from, _): &&(String, String)| paths.iter().flatten().any(|it| it == from);
            let pair = self.pairs().iter().find(leads);
            // Dots alone lead there too, and perhaps on to another folder.
            if let Some(moved) = pair.and_then(|(from, to)| moved(&token[..end], from, to)) {
                return Some(moved + &token[end..]);
            }
        }
        None
    }

    /// Whether a path leads to something that is not the model's own, or to a file, as far as the part that ends there.
    fn is_elsewhere(&self, token: &str, end: usize) -> Result<bool, TreeError> {
        let end = token[end..].find('/').map_or(token.len(), |at| end + at);
        let is_path = token.contains('/');
        let folders = if is_path {
            &["", self.folder][..]
        } else {
            &[self.folder]
        };
        for folder in folders {
            let Some(path) = clean(folder, &token[..end]) else {
                continue;
            };
            let kind = self.tree.kind(&path)?;
            if kind == Some(EntryKind::File) || (kind.is_some() && is_path) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A path that ends in a folder, with as much of it put in as the path names; nothing where it names too little.
fn moved(path: &str, from: &str, to: &str) -> Option<String> {
    let shared = path.rsplit('/').zip(from.rsplit('/'));
    let shared = shared.take_while(|(one, other)| one == other).count();
    let (from, to): (Vec<_>, Vec<_>) = (from.split('/').collect(), to.split('/').collect());
    let above = from.len() - shared;
    if shared == 0 || to.get(..above) != from.get(..above) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let kept = parts[..parts.len() - shared].iter();
    let parts: Vec<&str> = kept.chain(&to[above..]).copied().collect();
    Some(parts.join("/"))
}

/// Whether a path that leads nowhere here, as an address does, holds a folder whole.
fn has_part(path: &str, pairs: &[(String, String)]) -> bool {
    let framed = format!("/{path}/");
    let is_held = |(from, _): &(String, String)| framed.contains(&format!("/{from}/"));
    pairs.iter().any(is_held)
}

fn folders_replaced(path: &str, pairs: &[(String, String)]) -> String {
    let framed = format!("/{path}/");
    let found = pairs.iter().find_map(|(from, to)| {
        let framed = framed.split_once(&format!("/{from}/"))?;
        Some(format!("{}/{to}/{}", framed.0, framed.1))
    });
    let framed = found.unwrap_or(framed);
    framed[1..framed.len() - 1].to_owned()
}

/// Puts one text in the place of another, where that is no part of a longer word.
pub(super) fn words_replaced(text: &str, old: &str, new: &str) -> String {
    let (mut done, mut behind) = (String::with_capacity(text.len()), 0);
    for at in words(text, old) {
        done.push_str(&text[behind..at]);
        done.push_str(new);
        behind = at + old.len();
    }
    done + &text[behind..]
}

/// Where a word stands.
fn words(text: &str, word: &str) -> Vec<usize> {
    let is_part = |char: Option<char>| char.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let is_whole = |at: &usize| {
        let behind = at + word.len();
        !is_part(text[..*at].chars().next_back()) && !is_part(text[behind..].chars().next())
    };
    match word {
        "" => Vec::new(),
        _ => text
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(is_whole)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{folders_replaced, has_part, moved, words_replaced};

    #[test]
    fn whole_words_only_are_replaced() {
        for (text, want) in [
            ("path: ./envs/prod-eu", "path: ./envs/prod-ap"),
            ("prod-eu prod-eu.example.com", "prod-ap prod-ap.example.com"),
            (
                "prod-eu2 xprod-eu prod_prod-eu",
                "prod-eu2 xprod-eu prod_prod-eu",
            ),
            ("prod-euprod-eu", "prod-euprod-eu"),
            ("", ""),
        ] {
            assert_eq!(words_replaced(text, "prod-eu", "prod-ap"), want, "{text}");
        }
        assert_eq!(words_replaced("a-prod", "prod", "prod-eu"), "a-prod-eu");
    }

    #[test]
    fn a_path_gets_as_much_of_the_new_folder_as_it_names() {
        let moved = |path| moved(path, "clusters/prod/eu", "clusters/prod/ap");
        assert_eq!(
            moved("./clusters/prod/eu").as_deref(),
            Some("./clusters/prod/ap")
        );
        assert_eq!(moved("../eu").as_deref(), Some("../ap"));
        assert_eq!(moved("../.."), None);
        assert_eq!(super::moved("../prod", "a/prod", "b/prod-eu"), None);
    }

    #[test]
    fn an_address_that_holds_a_folder_names_the_new_one() {
        let pairs = [("envs/prod".to_owned(), "envs/prod-eu".to_owned())];
        let path = "//example.com/fleet//envs/prod";
        assert!(has_part(path, &pairs) && !has_part("my-envs/prod", &pairs));
        assert_eq!(folders_replaced(path, &pairs), format!("{path}-eu"));
    }
}
