//! Which files of a repository are left out: `.sourceignore`, `spec.ignore` and the defaults, as Flux reads them.
//!
//! Flux's matcher is not Git's: every file is judged by itself, so that a file can be taken back from a folder that
//! is left out; and after `**` the first match of the next part is the only one tried.

use super::filtered::Selection;
use super::git_tree::Objects;
use gix::objs::Kind;
use overlay::ObjectHash;
use overlay::path::join;

/// The name of the files that hold patterns.
pub(super) const FILE: &str = ".sourceignore";

/// Left out always.
const VERSION_CONTROL: &[&str] = &[".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Left out unless the repository or its GitRepository says anything of its own.
const DEFAULTS: &[&str] = &[
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// All patterns of a repository; later ones win.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    patterns: Vec<Pattern>,
    /// What paths begin with that are taken at all; everything when empty.
    prefixes: Vec<String>,
    /// Digest of the patterns: what they leave out is part of what a folder is.
    pub(super) digest: ObjectHash,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// The folder that the line is for.
    domain: Vec<String>,
    parts: Vec<Part>,
    /// Takes back what an earlier line left out.
    include: bool,
    /// For folders (and so for all in them) only.
    folder_only: bool,
    /// Begins at the domain; otherwise it is one part that may stand anywhere.
    anchored: bool,
}

/// What a pattern says of one part of a path. Every file of a repository meets every pattern, so that it is read once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing between two slashes.
    Empty,
    /// `**`: as many parts as there are.
    Any,
    /// `**` beside something else, which fits nothing.
    Never,
    /// A name as it stands.
    Name(String),
    /// `*` and then a text as it stands.
    Ending(String),
    /// All other shell patterns.
    Shape(Vec<char>),
}

impl Rules {
    /// The rules of a tree: its `.sourceignore` files from the root down, then the spec's text.
    pub(super) fn load(
        objects: &Objects,
        root: gix::ObjectId,
        selection: &Selection,
    ) -> Result<Self, String> {
        let prefixes = selection.prefixes();
        let mut texts = Vec::new();
        for (folder, id) in objects.files_named(root, FILE)? {
            if taken(&prefixes, &join(&folder, FILE)) {
                let bytes = objects.read(&id, Kind::Blob)?;
                texts.push((folder, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        let spec = selection.ignore.iter();
        texts.extend(spec.map(|text| (String::new(), text.clone())));
        let borrowed = texts
            .iter()
            .map(|(folder, text)| (folder.as_str(), text.as_str()));
        Ok(Self::of(borrowed, prefixes))
    }

    /// The rules that texts make, each for a folder.
    pub(super) fn of<'a>(
        texts: impl Iterator<Item = (&'a str, &'a str)>,
        prefixes: Vec<String>,
    ) -> Self {
        let own = patterns(texts);
        let defaults = if own.is_empty() { DEFAULTS } else { &[] };
        let patterns: Vec<Pattern> = VERSION_CONTROL
            .iter()
            .chain(defaults)
            .filter_map(|line| Pattern::parse(line, ""))
            .chain(own)
            .collect();
        let digest = ObjectHash::of("rules", format!("{patterns:?}{prefixes:?}").as_bytes());
        Self {
            patterns,
            prefixes,
            digest,
        }
    }

    /// The rules that texts make by themselves, without anything that is left out besides.
    pub(super) fn alone<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let patterns = patterns(texts);
        Self {
            digest: ObjectHash::of("rules", format!("{patterns:?}").as_bytes()),
            patterns,
            prefixes: Vec::new(),
        }
    }

    /// Whether a file is left out.
    pub(super) fn leave_out(&self, path: &str) -> bool {
        if !taken(&self.prefixes, path) {
            return true;
        }
        let parts: Vec<&str> = path.split('/').collect();
        self.patterns
            .iter()
            .rev()
            .find(|pattern| pattern.matches(&parts))
            .is_some_and(|pattern| !pattern.include)
    }
}

fn patterns<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Pattern> {
    let of_text = |(folder, text): (&'a str, &'a str)| {
        let lines = text.lines();
        lines.filter_map(move |line| Pattern::parse(line, folder))
    };
    texts.flat_map(of_text).collect()
}

/// Whether a path begins as one of the prefixes does: `apps` takes `apps2/a.yaml` too, as in Flux.
fn taken(prefixes: &[String], path: &str) -> bool {
    prefixes.is_empty() || prefixes.iter().any(|prefix| path.starts_with(prefix))
}

impl Pattern {
    fn parse(line: &str, folder: &str) -> Option<Self> {
        if line.starts_with('#') || line.trim().is_empty() {
            return None;
        }
        let (include, line) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let line = if line.ends_with("\\ ") {
            line
        } else {
            line.trim_end_matches(' ')
        };
        let (folder_only, line) = match line.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let anchored = line.contains('/');
        Some(Self {
            domain: folder
                .split('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            parts: match anchored {
                true => line.split('/').map(Part::of_path).collect(),
                false => vec![Part::of_name(line)],
            },
            include,
            folder_only,
            anchored,
        })
    }

    /// Whether the pattern speaks of a file, by its own name or that of a folder above it.
    fn matches(&self, path: &[&str]) -> bool {
        if path.len() <= self.domain.len() || self.domain.iter().zip(path).any(|(a, b)| a != b) {
            return false;
        }
        let path = &path[self.domain.len()..];
        if self.anchored {
            self.matches_from_start(path)
        } else {
            self.matches_anywhere(path)
        }
    }

    fn matches_anywhere(&self, path: &[&str]) -> bool {
        let found = path.iter().position(|name| self.parts[0].matches(name));
        found.is_some_and(|at| !(self.folder_only && at + 1 == path.len()))
    }

    fn matches_from_start(&self, mut path: &[&str]) -> bool {
        let mut matched = false;
        let mut anywhere = false;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Empty => anywhere = false,
                Part::Any if index + 1 == self.parts.len() => break,
                Part::Any => anywhere = true,
                Part::Never => return false,
                part => {
                    let found = path.iter().position(|name| part.matches(name));
                    match found {
                        Some(at) if at == 0 || anywhere => path = &path[at + 1..],
                        _ => return false,
                    }
                    (matched, anywhere) = (true, false);
                }
            }
        }
        matched && !(self.folder_only && path.is_empty())
    }
}

/// What is not meant as it stands in a pattern.
const SPECIAL: [char; 4] = ['*', '?', '[', '\\'];

impl Part {
    /// Of a pattern that has slashes.
    fn of_path(text: &str) -> Self {
        match text {
            "" => Self::Empty,
            "**" => Self::Any,
            text if text.contains("**") => Self::Never,
            text => Self::of_name(text),
        }
    }

    fn of_name(text: &str) -> Self {
        let is_plain = |text: &str| !text.contains(SPECIAL);
        match text.strip_prefix('*') {
            Some(end) if is_plain(end) => Self::Ending(end.to_owned()),
            None if is_plain(text) => Self::Name(text.to_owned()),
            _ => Self::Shape(text.chars().collect()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(text) => name == text,
            Self::Ending(end) => name.ends_with(end.as_str()),
            Self::Shape(pattern) => matches_shape(pattern, name),
            Self::Empty | Self::Any | Self::Never => false,
        }
    }
}

/// Shell patterns within one part of a path: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before a character.
fn matches_shape(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // Where to go on when a later part does not fit: after the last `*`, one character further.
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, seen));
            at += 1;
            continue;
        }
        if at == pattern.len() && seen == name.len() {
            return true;
        }
        let step = name.get(seen).and_then(|c| matches_one(&pattern[at..], *c));
        match (step, &mut retry) {
            (Some(length), _) => (at, seen) = (at + length, seen + 1),
            (None, Some((after, from))) if *from < name.len() => {
                *from += 1;
                (at, seen) = (*after, *from);
            }
            (None, _) => return false,
        }
    }
}

/// How many characters of the pattern the one character uses up; `None` when it does not fit.
fn matches_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', class @ ..] => matches_class(class, c).map(|length| length + 1),
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

/// The length of a class, its `]` included, when the character is in it.
fn matches_class(class: &[char], c: char) -> Option<usize> {
    let negated = class.first() == Some(&'^');
    let mut at = usize::from(negated);
    let first = at;
    let mut found = false;
    loop {
        match class.get(at)? {
            ']' if at > first => break,
            _ => {
                let (low, next) = class_member(class, at)?;
                let (high, next) = match class.get(next) {
                    Some('-') => class_member(class, next + 1)?,
                    _ => (low, next),
                };
                found |= (low..=high).contains(&c);
                at = next;
            }
        }
    }
    (found != negated).then_some(at + 1)
}

fn class_member(class: &[char], at: usize) -> Option<(char, usize)> {
    match class.get(at)? {
        '-' | ']' => None,
        '\\' => Some((*class.get(at + 1)?, at + 2)),
        c => Some((*c, at + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(texts: &[(&str, &str)], path: &str) -> bool {
        Rules::of(texts.iter().copied(), Vec::new()).leave_out(path)
    }

    #[test]
    fn the_defaults() {
        for path in [
            ".git/HEAD",
            ".gitignore",
            "a/.gitattributes",
            "logo.png",
            "a/b/archive.tar.gz",
            ".github/workflows/a.yaml",
            "a/.circleci/x",
            ".sops.yaml",
            "a/b/.sops.yaml",
            "x/.flux.yaml",
            "cloudbuild.yaml",
        ] {
            assert!(left_out(&[], path), "{path}");
            assert!(
                left_out(&[("", "")], path),
                "{path}: an empty text says nothing"
            );
            assert!(
                left_out(&[("", "# comment\n\n  \n")], path),
                "{path}: comments say nothing"
            );
        }
        for path in [
            "a.yaml",
            "a/kustomization.yaml",
            "png",
            "github/a.yaml",
            "a.sops.yaml",
        ] {
            assert!(!left_out(&[], path), "{path}");
        }
    }

    #[test]
    fn any_pattern_drops_the_defaults_but_for_version_control() {
        let own = [("", "docs/")];
        assert!(left_out(&own, "docs/a.md"));
        assert!(left_out(&own, ".gitignore"));
        for path in ["logo.png", ".sops.yaml", ".github/a.yaml"] {
            assert!(!left_out(&own, path), "{path}");
        }
    }

    #[test]
    fn patterns_as_flux_reads_them() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "a.txt",
                &["a.txt", "x/a.txt", "a.txt/b"],
                &["b.txt", "aa.txt"],
            ),
            ("/a.txt", &["a.txt"], &["x/a.txt"]),
            ("dir/", &["dir/a", "x/dir/b/c"], &["dir", "x/dir"]),
            ("/dir/", &["dir/a"], &["x/dir/a", "dir"]),
            ("x/*.md", &["x/a.md", "x/b.md/c"], &["x/y/a.md", "y/x/a.md"]),
            ("**/a/b", &["a/b", "x/a/b", "x/y/a/b/c"], &["b", "a/x/a/b"]),
            ("a/**/b", &["a/b", "a/x/y/b"], &["b", "x/a/b"]),
            ("a/**", &["a/b", "a/b/c"], &["b/a"]),
            ("a**", &["aa", "ab/c"], &["ba"]),
            ("x/a**", &[], &["x/aa"]),
            ("[ab].txt", &["a.txt", "b.txt"], &["c.txt"]),
            ("[^ab].txt", &["c.txt"], &["a.txt"]),
            ("[a-c]?.txt", &["bx.txt"], &["b.txt", "dx.txt"]),
            ("\\*.txt", &["*.txt"], &["a.txt"]),
            ("*a*b*c", &["abc", "xaxbxc", "aabbcc"], &["acb", "ab"]),
            ("trailing  ", &["trailing"], &["trailing  "]),
            ("[", &[], &["["]),
        ];
        for (pattern, out, kept) in cases {
            for path in *out {
                assert!(
                    left_out(&[("", pattern)], path),
                    "{pattern:?} leaves out {path:?}"
                );
            }
            for path in *kept {
                assert!(
                    !left_out(&[("", pattern)], path),
                    "{pattern:?} keeps {path:?}"
                );
            }
        }
    }

    #[test]
    fn the_last_pattern_wins_and_can_take_back_what_a_folder_lost() {
        let own = [("", "/*\n!/deploy\n/deploy/**/*.md")];
        assert!(left_out(&own, "README.md"));
        assert!(left_out(&own, "src/main.go"));
        assert!(!left_out(&own, "deploy/a.yaml"));
        assert!(!left_out(&own, "deploy/x/a.yaml"));
        assert!(left_out(&own, "deploy/x/a.md"));
    }

    #[test]
    fn a_file_s_patterns_are_for_its_folder() {
        let own = [("a/b", "*.txt\n/only"), ("", "!keep.txt")];
        assert!(left_out(&own, "a/b/x.txt"));
        assert!(left_out(&own, "a/b/c/x.txt"));
        assert!(left_out(&own, "a/b/only"));
        assert!(!left_out(&own, "a/b/c/only"));
        assert!(!left_out(&own, "a/x.txt"));
        assert!(!left_out(&own, "a/b/keep.txt"), "the spec comes last");
    }
}
