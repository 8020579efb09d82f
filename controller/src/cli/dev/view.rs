//! What the developer sees: on a terminal the last save alone, with the state of health below it; else plain lines.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice, print};
use anstyle::{AnsiColor, Style};

use super::super::plan_text;
use super::following::News;
use super::session::{Brought, Planned};
use crate::health::{Health, Status};
use crate::source::saved::Saved;

/// How many saved files a line names.
const NAMED: usize = 3;

/// Clears a terminal and begins at its top.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Around what is taken back later: a line that is longer than the terminal is cut there, as it would else be several.
const CUT: (&str, &str) = ("\x1b[?7l", "\x1b[?7h");

/// Where things are written.
pub(super) struct View {
    /// What is drawn can be taken back.
    terminal: bool,
    /// What stands at the top of a terminal.
    headline: String,
    /// How the objects that are not ready stand, as last shown, by target.
    standing: BTreeMap<String, BTreeMap<String, Health>>,
    /// Lines of a terminal that the next state of health replaces.
    drawn: usize,
}

fn colored(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

impl View {
    /// The view of standard output.
    pub(super) fn new(headline: String) -> Self {
        let output = std::io::stdout();
        // Where nothing but plain text may be written (`NO_COLOR`, `TERM=dumb`), nothing can be taken back either.
        let is_plain = AutoStream::choice(&output) == ColorChoice::Never;
        Self {
            terminal: output.is_terminal() && !is_plain,
            headline,
            standing: BTreeMap::new(),
            drawn: 0,
        }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, text: &str) {
        self.forget_drawn();
        print!("{}\n", text.trim_end());
    }

    /// Something went wrong.
    pub(super) fn fail(&mut self, text: &str) {
        let red = colored(AnsiColor::Red);
        self.say(&format!("{red}✗ {text}{red:#}"));
    }

    /// The beginning, or a save.
    pub(super) fn begin(&mut self, saved: &Saved) {
        if self.terminal {
            print!("{CLEAR}");
            (self.drawn, self.standing) = (0, BTreeMap::new());
            let bold = Style::new().bold();
            self.say(&format!("{bold}{}{bold:#}", self.headline.clone()));
        }
        if let Some(text) = named(saved) {
            self.say(&format!("► {text}"));
        }
    }

    /// A plan, and how long it took.
    pub(super) fn planned(&mut self, title: &str, planned: &Planned, took: Duration) {
        for warning in &planned.warnings {
            self.say(&format!("warning: {warning}"));
        }
        self.say(&plan_text::render(&planned.plan));
        let (built, took) = (planned.built.as_millis(), took.as_millis());
        self.say(&format!(
            "{title}: built in {built} ms, planned {took} ms after the save"
        ));
    }

    /// What was done, objects that were left as they are not.
    pub(super) fn brought(&mut self, brought: &Brought) {
        let changed = brought.applied.changes.changed();
        let lines: Vec<String> = changed
            .chain(brought.pruned.changes.changed())
            .map(|entry| format!("✔ {entry}"))
            .collect();
        lines.iter().for_each(|line| self.say(line));
        let failed = brought.applied.errors.iter().chain(&brought.pruned.errors);
        failed.for_each(|error| self.fail(&error.to_string()));
        for id in &brought.held {
            self.say(&format!(
                "· {id} is kept: too much would go at once, or data with it"
            ));
        }
    }

    /// News of what is followed.
    pub(super) fn news(&mut self, title: &str, news: News) {
        match news {
            News::Warning(text) => {
                let yellow = colored(AnsiColor::Yellow);
                self.say(&format!("{yellow}! {text}{yellow:#}"));
                self.draw();
            }
            News::Standing(standing) => self.stand(title, standing),
            News::Ready(took) => {
                self.standing.remove(title);
                let green = colored(AnsiColor::Green);
                self.say(&format!(
                    "{green}✔ {title} is ready, {:.1} s after it was applied{green:#}",
                    took.as_secs_f64()
                ));
                self.draw();
            }
            News::Failed(standing) => {
                self.standing.remove(title);
                for (id, health) in standing {
                    self.fail(&line(&id, &health));
                }
                self.draw();
            }
        }
    }

    fn stand(&mut self, title: &str, standing: BTreeMap<String, Health>) {
        let before = self.standing.insert(title.to_owned(), standing.clone());
        if self.terminal {
            self.forget_drawn();
            return self.draw();
        }
        let before = before.unwrap_or_default();
        for (id, health) in &standing {
            if before.get(id) != Some(health) {
                self.say(&format!("… {}", line(id, health)));
            }
        }
    }

    /// Takes the last state of health off a terminal.
    fn forget_drawn(&mut self) {
        if self.drawn > 0 {
            print!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Draws the present state of health below all else.
    fn draw(&mut self) {
        if !self.terminal {
            return;
        }
        let lines = self.standing.values().flatten();
        let lines: Vec<String> = lines.map(|(id, health)| line(id, health)).collect();
        let (cut, whole) = CUT;
        for line in &lines {
            print!("{cut}… {line}{whole}\n");
        }
        self.drawn = lines.len();
    }
}

/// `Deployment/shop/web: InProgress, Available: 1/3`
fn line(id: &str, health: &Health) -> String {
    let status = match health.status {
        Status::NotFound => "not there".to_owned(),
        status => status.to_string(),
    };
    match health.message.replace('\n', " ") {
        message if message.is_empty() => format!("{id}: {status}"),
        message => format!("{id}: {status}, {message}"),
    }
}

/// The files that were saved; nothing at the beginning.
fn named(saved: &Saved) -> Option<String> {
    let names: Vec<&str> = saved
        .iter()
        .map(String::as_str)
        .filter(|path| !path.is_empty())
        .collect();
    let first = names
        .iter()
        .take(NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => None,
        count if count > NAMED => Some(format!("{first} and {} more", count - NAMED)),
        _ => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_named_and_many_counted() {
        let saved = |paths: &[&str]| {
            paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect::<Saved>()
        };
        assert_eq!(named(&saved(&[""])), None);
        assert_eq!(named(&saved(&["a", "b"])).as_deref(), Some("a, b"));
        let many = named(&saved(&["a", "b", "c", "d", "e"]));
        assert_eq!(many.as_deref(), Some("a, b, c and 2 more"));
    }
}
