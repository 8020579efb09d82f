//! A terminal that a program is started in: what it draws is kept as a screen shows it.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::pty::{Winsize, openpty};

/// A program in a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    process: Child,
    screen: Arc<Mutex<Screen>>,
    reader: Option<JoinHandle<Vec<u8>>>,
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Terminal {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).expect("open a terminal");
        let inside = || Stdio::from(pair.slave.try_clone().expect("clone a descriptor"));
        let is_told = command.get_envs().any(|(name, _)| name == "NO_COLOR");
        if !is_told {
            command.env_remove("NO_COLOR");
        }
        command
            .env("TERM", "xterm-256color")
            .stdin(inside())
            .stdout(inside())
            .stderr(inside());
        let process = command.spawn().expect("start a program");
        let screen = Arc::new(Mutex::new(Screen::new(columns.into(), rows.into())));
        let drawn = screen.clone();
        let mut outside = File::from(pair.master);
        let reader = std::thread::spawn(move || {
            let (mut bytes, mut all) = ([0; 4096], Vec::new());
            // Reading fails once nobody is inside any more.
            while let Ok(length @ 1..) = outside.read(&mut bytes) {
                drawn.lock().unwrap().feed(&bytes[..length]);
                all.extend_from_slice(&bytes[..length]);
            }
            all
        });
        Terminal {
            process,
            screen,
            reader: Some(reader),
        }
    }

    /// The rows of the screen as they are now, without the empty ones at the end.
    pub fn rows(&self) -> Vec<String> {
        self.screen.lock().unwrap().rows()
    }

    /// The program's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end of the program, and gives its code.
    pub fn end(&mut self) -> Option<i32> {
        self.process.wait().expect("wait for a program").code()
    }

    /// Waits for the end of the program, and gives all that it wrote, with what colours it.
    pub fn written(mut self) -> String {
        self.end();
        let reader = self.reader.take().expect("there is one reader");
        let bytes = reader.join().expect("read a terminal");
        String::from_utf8(bytes).expect("text")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a terminal shows. Of what programs may ask of one it knows what Weir does.
#[derive(Debug)]
struct Screen {
    cells: Vec<Vec<char>>,
    columns: usize,
    row: usize,
    column: usize,
    wraps: bool,
    /// Bytes that are not yet a character or a command.
    pending: Vec<u8>,
}

impl Screen {
    fn new(columns: usize, rows: usize) -> Self {
        Self {
            cells: vec![vec![' '; columns]; rows],
            columns,
            row: 0,
            column: 0,
            wraps: true,
            pending: Vec::new(),
        }
    }

    fn rows(&self) -> Vec<String> {
        let text = |cells: &Vec<char>| cells.iter().collect::<String>().trim_end().to_owned();
        let mut rows: Vec<String> = self.cells.iter().map(text).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.pending.push(*byte);
            let Ok(text) = std::str::from_utf8(&self.pending) else {
                continue;
            };
            let text = text.to_owned();
            let is_begun = text == "\x1b" || text.starts_with("\x1b[") && !is_command(&text);
            if !is_begun {
                self.pending.clear();
                match text.strip_prefix("\x1b[") {
                    Some(command) => self.command(command),
                    None => text.chars().for_each(|one| self.put(one)),
                }
            }
        }
    }

    fn put(&mut self, one: char) {
        match one {
            '\r' => self.column = 0,
            '\n' => self.feed_line(),
            one if one.is_control() => {}
            one => {
                if self.column == self.columns {
                    match self.wraps {
                        true => {
                            self.column = 0;
                            self.feed_line();
                        }
                        false => self.column -= 1,
                    }
                }
                self.cells[self.row][self.column] = one;
                self.column += 1;
            }
        }
    }

    fn feed_line(&mut self) {
        if self.row + 1 < self.cells.len() {
            self.row += 1;
        } else {
            self.cells.remove(0);
            self.cells.push(vec![' '; self.columns]);
        }
    }

    /// Carries out what stands between `ESC [` and the end of a command.
    fn command(&mut self, command: &str) {
        let (arguments, name) = command.split_at(command.len() - 1);
        match (name, arguments) {
            ("H", "") => (self.row, self.column) = (0, 0),
            ("A", count) => self.row = self.row.saturating_sub(count.parse().unwrap_or(1)),
            ("J", "2") => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            ("J", "" | "0") => {
                self.cells[self.row][self.column.min(self.columns)..].fill(' ');
                let below = self.row + 1;
                self.cells[below..].iter_mut().for_each(|row| row.fill(' '));
            }
            ("h", "?7") => self.wraps = true,
            ("l", "?7") => self.wraps = false,
            // Colours, and lines that have left the screen.
            ("m", _) | ("J", "3") => {}
            _ => panic!("the screen does not know ESC[{command}"),
        }
    }
}

fn is_command(text: &str) -> bool {
    let last = text.chars().last();
    text.len() > 2 && last.is_some_and(|last| last.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wrap_scroll_and_go() {
        let mut screen = Screen::new(4, 3);
        screen.feed("abcdef\r\n\x1b[1mg\x1b[0m\r\nh".as_bytes());
        assert_eq!(screen.rows(), ["ef", "g", "h"]);
        screen.feed(b"\x1b[2A\r\x1b[J");
        assert_eq!(screen.rows(), Vec::<String>::new());
        screen.feed("\x1b[?7lzyxwvu\x1b[?7h…".as_bytes());
        assert_eq!(screen.rows(), ["zyxu", "…"]);
        screen.feed(b"\x1b[2J\x1b[3J\x1b[Ha");
        assert_eq!(screen.rows(), ["a"]);
    }
}
