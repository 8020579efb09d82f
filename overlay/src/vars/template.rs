//! A text with `${…}` in it, read into parts: the grammar of Flux's substitution, quirks included.
//!
//! The grammar is that of drone/envsubst, which is near to the shell's and not the same: a name may begin with
//! a digit, `${a-b}` and `${a.b}` are errors, `:?` and `:+` are read and act as defaults.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is, with `$$` already made `$`.
    Text(String),
    /// `${…}`.
    Expansion(Expansion),
}

/// `${name}`, `${#name}` or `${name<operator>arguments}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expansion {
    /// The variable.
    pub name: String,
    /// The operator as written; empty for `${name}`.
    pub operator: String,
    /// Its arguments, each one text or one expansion.
    pub arguments: Vec<Part>,
}

/// What is wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// `${` is not followed by a name.
    #[error("unable to parse variable name")]
    Name,
    /// Something other than an operator or `}` follows the name.
    #[error("missing closing brace")]
    ClosingBrace,
    /// An operator's argument is missing or not finished.
    #[error("unable to parse substitution within function")]
    Argument,
    /// Anything else.
    #[error("bad substitution")]
    Substitution,
    /// Expansions within expansions, too many of them.
    #[error("substitutions are nested too deeply")]
    Depth,
}

/// A fault and the byte of the template at which it was noticed.
pub(super) type Located = (Fault, usize);

/// Expansions may nest this deep.
const DEEPEST: usize = 64;

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, Located> {
    let mut scanner = Scanner {
        text,
        at: 0,
        depth: 0,
    };
    let mut parts = Vec::new();
    while scanner.at < text.len() {
        if scanner.take("${") {
            let expansion = scanner.expansion().map_err(|fault| (fault, scanner.at))?;
            parts.push(Part::Expansion(expansion));
        } else {
            parts.push(Part::Text(scanner.text_until(|_| false, Escapes::Dollar)));
        }
    }
    Ok(parts)
}

/// What a backslash or a dollar sign may make literal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// Nothing.
    None,
    /// `$$` is `$`.
    Dollar,
    /// `$$` is `$`, `\/` is `/`, `\\` is `\`.
    All,
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.rest().starts_with(word);
        if there {
            self.at += word.len();
        }
        there
    }

    /// The longest run of accepted characters; empty when the first is not.
    fn run(&mut self, accepts: impl Fn(char) -> bool) -> String {
        let run: String = self.rest().chars().take_while(|c| accepts(*c)).collect();
        self.at += run.len();
        run
    }

    /// Text up to a stop, an expansion or the end, with escapes undone.
    fn text_until(&mut self, stops: impl Fn(char) -> bool, escapes: Escapes) -> String {
        let mut found = String::new();
        while let Some(next) = self.peek() {
            if self.rest().starts_with("${") {
                break;
            }
            if let Some(literal) = self.escape(escapes) {
                found.push(literal);
                continue;
            }
            if stops(next) {
                break;
            }
            found.push(next);
            self.at += next.len_utf8();
        }
        found
    }

    fn escape(&mut self, escapes: Escapes) -> Option<char> {
        let literal = match (escapes, self.rest().as_bytes()) {
            (Escapes::Dollar | Escapes::All, [b'$', b'$', ..]) => '$',
            (Escapes::All, [b'\\', b'/', ..]) => '/',
            (Escapes::All, [b'\\', b'\\', ..]) => '\\',
            _ => return None,
        };
        self.at += 2;
        Some(literal)
    }

    fn name(&mut self) -> String {
        self.run(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_')
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.take("}").then_some(()).ok_or(Fault::Substitution)
    }

    /// What stands behind `${`.
    fn expansion(&mut self) -> Result<Expansion, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::Depth);
        }
        let expansion = if self.take("#") {
            self.length()
        } else {
            self.named()
        };
        self.depth -= 1;
        expansion
    }

    /// `${#name}`
    fn length(&mut self) -> Result<Expansion, Fault> {
        let name = self.name();
        if name.is_empty() {
            return Err(Fault::Substitution);
        }
        self.close()?;
        Ok(expansion(name, "#", Vec::new()))
    }

    fn named(&mut self) -> Result<Expansion, Fault> {
        let name = self.name();
        if name.is_empty() {
            return Err(Fault::Name);
        }
        match self.peek() {
            Some(':') => self.default_or_substring(name),
            Some('=') => {
                self.at += 1;
                self.default(name, "=")
            }
            Some(',' | '^') => self.letter_case(name),
            Some('/') => self.replacement(name),
            Some(sign @ ('#' | '%')) => self.trim(name, sign),
            Some('}') => {
                self.at += 1;
                Ok(expansion(name, "", Vec::new()))
            }
            _ => Err(Fault::ClosingBrace),
        }
    }

    /// `${name:=…}` and its like, or `${name:offset}` and `${name:offset:length}`.
    fn default_or_substring(&mut self, name: String) -> Result<Expansion, Fault> {
        for operator in [":=", ":-", ":?", ":+"] {
            if self.take(operator) {
                return self.default(name, operator);
            }
        }
        self.at += 1;
        match self.peek() {
            None => Err(Fault::Substitution),
            // The reference steps back by the width of this character and stumbles over the name.
            Some(next) if next.len_utf8() > 1 => Err(Fault::Substitution),
            Some(_) => self.substring(name),
        }
    }

    /// Any number of texts and expansions up to `}`.
    fn default(&mut self, name: String, operator: &str) -> Result<Expansion, Fault> {
        let mut arguments = Vec::new();
        while !self.take("}") {
            arguments.push(self.argument(|c| c == '}', Escapes::None)?);
        }
        Ok(expansion(name, operator, arguments))
    }

    fn substring(&mut self, name: String) -> Result<Expansion, Fault> {
        let offset = self.argument(|c| c == ':' || c == '}', Escapes::None)?;
        if self.take("}") {
            return Ok(expansion(name, ":", vec![offset]));
        }
        if self.run(|c| c == ':').is_empty() {
            return Err(Fault::Substitution);
        }
        let length = self.argument(|c| c == '}', Escapes::None)?;
        self.close()?;
        Ok(expansion(name, ":", vec![offset, length]))
    }

    /// `${name#…}`, `${name##…}`, `${name%…}`, `${name%%…}`
    fn trim(&mut self, name: String, sign: char) -> Result<Expansion, Fault> {
        let operator = self.at_most_two(|c| c == sign);
        let pattern = self.argument(|c| c == '}', Escapes::None)?;
        self.close()?;
        Ok(expansion(name, &operator, vec![pattern]))
    }

    /// `${name/…/…}`, `${name//…/…}`, `${name/#…/…}`, `${name/%…/…}`
    fn replacement(&mut self, name: String) -> Result<Expansion, Fault> {
        self.at += 1;
        let mut operator = String::from("/");
        if let Some(kind @ ('/' | '#' | '%')) = self.peek() {
            self.at += 1;
            operator.push(kind);
        }
        let mut arguments = vec![self.argument(|c| c == '/', Escapes::All)?];
        if self.run(|c| c == '/').is_empty() {
            return Err(Fault::Substitution);
        }
        if self.peek() != Some('}') {
            arguments.push(self.argument(|c| c == '}', Escapes::All)?);
        }
        self.close()?;
        Ok(expansion(name, &operator, arguments))
    }

    /// `${name^}`, `${name^^}`, `${name,}`, `${name,,}`
    fn letter_case(&mut self, name: String) -> Result<Expansion, Fault> {
        let operator = self.at_most_two(|c| c == ',' || c == '^');
        self.close()?;
        Ok(expansion(name, &operator, Vec::new()))
    }

    fn at_most_two(&mut self, accepts: impl Fn(char) -> bool) -> String {
        let found: String = self
            .rest()
            .chars()
            .take(2)
            .take_while(|c| accepts(*c))
            .collect();
        self.at += found.len();
        found
    }

    /// One expansion, or text of at least one character.
    fn argument(&mut self, stops: impl Fn(char) -> bool, escapes: Escapes) -> Result<Part, Fault> {
        if self.take("${") {
            return self.expansion().map(Part::Expansion);
        }
        let before = self.at;
        let text = self.text_until(stops, escapes);
        if self.at == before {
            return Err(Fault::Argument);
        }
        Ok(Part::Text(text))
    }
}

fn expansion(name: String, operator: &str, arguments: Vec<Part>) -> Expansion {
    Expansion {
        name,
        operator: operator.to_owned(),
        arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reference_refuses_is_refused() {
        let cases = [
            ("${", Fault::Name),
            ("${}", Fault::Name),
            ("${-}", Fault::Name),
            ("${ a}", Fault::Name),
            ("${a", Fault::ClosingBrace),
            ("${a.b}", Fault::ClosingBrace),
            ("${a-b}", Fault::ClosingBrace),
            ("${a b}", Fault::ClosingBrace),
            ("${#}", Fault::Substitution),
            ("${##}", Fault::Substitution),
            ("${#a:1}", Fault::Substitution),
            ("${a:", Fault::Substitution),
            ("${a:é}", Fault::Substitution),
            ("${a:}", Fault::Argument),
            ("${a:1:}", Fault::Argument),
            ("${a:=x", Fault::Argument),
            ("${a#}", Fault::Argument),
            ("${a%%}", Fault::Argument),
            ("${a^^^}", Fault::Substitution),
            ("${a/b}", Fault::Substitution),
            ("${a//}", Fault::Substitution),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text).map_err(|(fault, _)| fault), Err(want), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_bottom() {
        let text = "${a:=".repeat(DEEPEST + 1);
        assert_eq!(parse(&text).map_err(|(fault, _)| fault), Err(Fault::Depth));
    }

    #[test]
    fn a_dollar_alone_is_text() {
        for text in ["$", "a$b", "$a", "$ {a}", "}", "$}"] {
            assert_eq!(parse(text), Ok(vec![Part::Text(text.to_owned())]), "{text}");
        }
    }
}
