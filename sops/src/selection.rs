//! Which values of a file are encrypted, decided on the way down: by the keys above a value, or the comments.

use regex::bytes::{Regex, RegexBuilder};

use crate::metadata::Rule;
use crate::pattern;

/// The largest compiled pattern, in bytes.
const PATTERN_LIMIT: usize = 1 << 20;

/// A rule, ready to be asked.
pub(crate) struct Selection {
    test: Test,
    /// What a hit means: encrypted, or left alone.
    hit_is_encrypted: bool,
}

enum Test {
    Suffix(String),
    Key(Option<Regex>),
    Comment(Option<Regex>),
}

/// How many comments in force the rule finds, one entry for each mapping or list from the root down.
#[derive(Default)]
pub(crate) struct Comments(Vec<Level>);

#[derive(Clone, Copy, Default)]
struct Level {
    hits: usize,
    newest_hit: bool,
}

/// What is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Value,
    /// The comment that was just added.
    Comment,
}

impl Selection {
    /// Compiles a rule. A pattern that does not compile finds nothing, as in SOPS.
    pub(crate) fn new(rule: &Rule) -> Self {
        let (test, hit_is_encrypted) = match rule {
            Rule::UnencryptedSuffix(suffix) => (Test::Suffix(suffix.clone()), false),
            Rule::EncryptedSuffix(suffix) => (Test::Suffix(suffix.clone()), true),
            Rule::UnencryptedRegex(regex) => (Test::Key(compile(regex)), false),
            Rule::EncryptedRegex(regex) => (Test::Key(compile(regex)), true),
            Rule::UnencryptedCommentRegex(regex) => (Test::Comment(compile(regex)), false),
            Rule::EncryptedCommentRegex(regex) => (Test::Comment(compile(regex)), true),
        };
        Self {
            test,
            hit_is_encrypted,
        }
    }

    /// True when the rule finds the key.
    pub(crate) fn finds_key(&self, key: &str) -> bool {
        match &self.test {
            Test::Suffix(suffix) => key.ends_with(suffix.as_str()),
            Test::Key(Some(regex)) => regex.is_match(key.as_bytes()),
            Test::Key(None) | Test::Comment(_) => false,
        }
    }

    /// True when the rule finds the comment's text.
    pub(crate) fn finds_comment(&self, text: &[u8]) -> bool {
        matches!(&self.test, Test::Comment(Some(regex)) if regex.is_match(text))
    }

    /// True when the value or comment is to be encrypted; `under_hit` says that the rule found a key above it.
    pub(crate) fn encrypts(&self, under_hit: bool, comments: &Comments, asked: Asked) -> bool {
        let hit = match &self.test {
            Test::Suffix(_) | Test::Key(_) => under_hit,
            // The comment that asks for encryption stays readable itself.
            Test::Comment(_) => comments.hit(self.hit_is_encrypted && asked == Asked::Comment),
        };
        hit == self.hit_is_encrypted
    }
}

impl Comments {
    pub(crate) fn enter(&mut self) {
        self.0.push(Level::default());
    }

    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// A comment stands before what follows in this mapping or list.
    pub(crate) fn add(&mut self, hit: bool) {
        if let Some(level) = self.0.last_mut() {
            level.hits += usize::from(hit);
            level.newest_hit = hit;
        }
    }

    /// A value has ended the reach of the comments before it.
    pub(crate) fn clear(&mut self) {
        if let Some(level) = self.0.last_mut() {
            *level = Level::default();
        }
    }

    fn hit(&self, without_newest: bool) -> bool {
        let Some((last, above)) = self.0.split_last() else {
            return false;
        };
        let newest = usize::from(without_newest && last.newest_hit);
        last.hits > newest || above.iter().any(|level| level.hits > 0)
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&pattern::from_go(pattern))
        .size_limit(PATTERN_LIMIT)
        .build()
        .ok()
}
