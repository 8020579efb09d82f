//! A page as a browser shows it: Chromium, without a screen and without a network, told what to do over a pipe.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What Chromium is called on various systems.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Reads commands from the first pipe and writes answers to the second, as the file descriptors 3 and 4 of the browser.
const START: &str = r#"exec "$1" --headless --no-sandbox --disable-gpu --user-data-dir="$2/profile" \
    --host-resolver-rules="MAP * ~NOTFOUND" --remote-debugging-pipe 3<"$2/commands" 4>"$2/answers""#;

/// A browser with a page.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    commands: File,
    answers: BufReader<File>,
    session: Option<String>,
    number: u64,
    _folder: TempDir,
}

impl Browser {
    /// Opens a file, at an address that ends so: `#search=web`.
    pub fn open(page: &Path, fragment: &str) -> Browser {
        let folder = tempfile::tempdir().expect("create a folder for the browser");
        let pipes = ["commands", "answers"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").args(&pipes).status();
        assert!(made.expect("run mkfifo").success(), "no pipes");
        let process = Command::new("sh")
            .args(["-c", START, "sh", name()])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the browser");
        // The shell opens them in this order, too, and each end waits for the other.
        let commands = OpenOptions::new().write(true).open(&pipes[0]);
        let answers = File::open(&pipes[1]);
        let mut browser = Browser {
            process,
            commands: commands.expect("open the pipe to the browser"),
            answers: BufReader::new(answers.expect("open the pipe from the browser")),
            session: None,
            number: 0,
            _folder: folder,
        };
        browser.go_to(&format!("file://{}{fragment}", page.display()));
        browser
    }

    fn go_to(&mut self, address: &str) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        self.call("Page.enable", json!({}));
        self.call("Page.navigate", json!({ "url": address }));
        while self.message()["method"] != "Page.loadEventFired" {}
    }

    /// What an expression of JavaScript is on the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let evaluate = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", evaluate);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].clone()
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let number = self.number;
        let mut command = json!({ "id": number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let sent = self.commands.write_all(format!("{command}\0").as_bytes());
        sent.expect("tell the browser");
        loop {
            let mut message = self.message();
            if message["id"] == number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        let read = self.answers.read_until(0, &mut bytes);
        read.expect("hear from the browser");
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).expect("a message of the browser")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its other processes end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn name() -> &'static str {
    let runs = |name: &&str| {
        let mut command = Command::new(name);
        let version = command.arg("--version").stdout(Stdio::null());
        version
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success())
    };
    let found = NAMES.into_iter().find(runs);
    found.unwrap_or_else(|| panic!("this test needs Chromium: one of {NAMES:?}"))
}
