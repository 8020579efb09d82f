//! What is said in a push, whatever carries it: the server's refs, the command with the pack, and the server's report.

use std::io::{self, Read};

use gix::hash::ObjectId;
use overlay::ObjectHash;

use super::pack::pack;
use super::{NewObject, Pushed, Update};
use crate::source::failure::Failure;
use crate::source::git_tree::hash;
use crate::source::server::AGENT;

/// The id of what is not there.
const NOTHING: ObjectHash = ObjectHash([0; 20]);

/// A server's `git-receive-pack`: first its refs are read, then the request is made, then its report is read.
pub(super) trait Receiver: Read {
    /// Makes the whole request; nothing is said after it.
    fn request(&mut self, request: Vec<u8>) -> Result<(), Failure>;
}

/// Sets the ref, if the server still has it where it was.
pub(super) fn converse(
    receiver: &mut impl Receiver,
    update: &Update<'_>,
    objects: &[NewObject],
) -> Result<Pushed, Failure> {
    if advertised(receiver, update.name)? != update.old {
        return Ok(Pushed::Outrun);
    }
    let request = request(update, objects).map_err(|error| protocol(&error))?;
    receiver.request(request)?;
    let verdict = verdict(receiver, update.name)?;
    // Hooks that run after the report are killed where nobody listens to them any more. How they end changes nothing.
    let _ = io::copy(receiver, &mut io::sink());
    Ok(verdict)
}

/// What the server has under a name.
fn advertised(receiver: &mut impl Read, name: &str) -> Result<Option<ObjectHash>, Failure> {
    let mut found = None;
    let mut line = next_line(receiver)?;
    // Over HTTP it says first what it is, and ends that as it ends the refs.
    if line.as_ref().is_some_and(|line| line.starts_with("# ")) {
        next_line(receiver)?;
        line = next_line(receiver)?;
    }
    while let Some(text) = line {
        if let Some(complaint) = text.strip_prefix("ERR ") {
            return Err(Failure::Complaint(complaint.to_owned()));
        }
        // Behind the first name stands what the server can do.
        let of_ref = text.split('\0').next().unwrap_or_default();
        if let Some((id, other)) = of_ref.split_once(' ')
            && other == name
            && let Ok(id) = ObjectId::from_hex(id.as_bytes())
        {
            found = Some(hash(&id));
        }
        line = next_line(receiver)?;
    }
    Ok(found)
}

/// The command, then the pack.
fn request(update: &Update<'_>, objects: &[NewObject]) -> io::Result<Vec<u8>> {
    let (old, new, name) = (update.old.unwrap_or(NOTHING), update.new, update.name);
    let command = format!("{old} {new} {name}\0report-status agent={AGENT}");
    let mut request = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
    request.extend(pack(objects)?);
    Ok(request)
}

/// What the server says of a ref.
fn verdict(receiver: &mut impl Read, name: &str) -> Result<Pushed, Failure> {
    let (ok, no) = (format!("ok {name}"), format!("ng {name} "));
    let mut unpacking = None;
    while let Some(line) = next_line(receiver)? {
        if line == ok {
            return Ok(Pushed::Done);
        }
        if let Some(why) = line.strip_prefix(&no) {
            return Ok(refused(why));
        }
        if let Some(how) = line.strip_prefix("unpack ").filter(|how| *how != "ok") {
            unpacking = Some(format!("unpacking failed: {how}"));
        }
    }
    match unpacking {
        Some(why) => Ok(Pushed::Refused(why)),
        None => Err(Failure::Protocol("no report of the push".to_owned())),
    }
}

/// What several servers say when the ref is not what it was.
fn refused(why: &str) -> Pushed {
    let outrun = [
        "cannot lock ref",
        "failed to update ref",
        "fetch first",
        "non-fast-forward",
        "stale info",
        "reference already exists",
        "incorrect old value",
    ];
    match outrun.iter().any(|sign| why.contains(sign)) {
        true => Pushed::Outrun,
        false => Pushed::Refused(why.to_owned()),
    }
}

/// A line of Git's, without its length before it and its end; nothing where a list of them ends.
fn next_line(receiver: &mut impl Read) -> Result<Option<String>, Failure> {
    let mut length = [0; 4];
    read(receiver, &mut length)?;
    let length = std::str::from_utf8(&length)
        .ok()
        .and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let length = match length {
        Some(0) => return Ok(None),
        Some(length @ 4..) => length - 4,
        _ => return Err(Failure::Protocol("an answer that is not Git's".to_owned())),
    };
    let mut line = vec![0; length];
    read(receiver, &mut line)?;
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

fn read(receiver: &mut impl Read, buffer: &mut [u8]) -> Result<(), Failure> {
    let read = receiver.read_exact(buffer);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Protocol("an answer that is cut off".to_owned()),
        _ => protocol(&error),
    })
}

fn protocol(error: &io::Error) -> Failure {
    Failure::Protocol(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "refs/heads/main";
    const HELD: &str = "8f3a119292f2b0ba21aa5ef9f9ba91875f2dca67";

    /// A server that says what it says, whatever it is asked.
    struct Scripted {
        says: io::Cursor<Vec<u8>>,
        asked: Vec<u8>,
    }

    impl Scripted {
        fn new(says: &str) -> Self {
            Self {
                says: io::Cursor::new(says.as_bytes().to_vec()),
                asked: Vec::new(),
            }
        }
    }

    impl Read for Scripted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Receiver for Scripted {
        fn request(&mut self, request: Vec<u8>) -> Result<(), Failure> {
            self.asked = request;
            Ok(())
        }
    }

    fn framed(lines: &[&str]) -> String {
        let lines = lines
            .iter()
            .map(|line| format!("{:04x}{line}\n", line.len() + 5));
        lines.collect::<String>() + "0000"
    }

    fn update() -> Update<'static> {
        let id = ObjectId::from_hex(HELD.as_bytes()).expect("an id");
        Update {
            name: NAME,
            old: Some(hash(&id)),
            new: ObjectHash([7; 20]),
        }
    }

    #[test]
    fn the_refs_are_read_and_the_command_names_the_old_id() {
        let main = format!("{HELD} {NAME}");
        let first = format!("{HELD} refs/heads/a\0report-status atomic");
        let greeting = framed(&["# service=git-receive-pack"]);
        let report = framed(&["unpack ok", "ok refs/heads/main"]);
        for greeting in ["", &greeting] {
            let says = greeting.to_owned() + &framed(&[&first, &main]) + &report + "late words";
            let mut server = Scripted::new(&says);
            let pushed = converse(&mut server, &update(), &[]);
            assert_eq!(pushed, Ok(Pushed::Done));
            let asked = String::from_utf8_lossy(&server.asked).into_owned();
            let command = format!("{HELD} {} {NAME}\0report-status", "07".repeat(20));
            assert_eq!(asked.get(4..4 + command.len()), Some(command.as_str()));
            assert!(asked.contains("0000PACK"), "{asked}");
            assert_eq!(
                server.says.position(),
                says.len() as u64,
                "heard to the end"
            );
        }
    }

    #[test]
    fn who_is_outrun_asks_for_nothing() {
        let elsewhere = format!("{} {NAME}", "1".repeat(40));
        let empty = format!("{} capabilities^{{}}\0report-status", "0".repeat(40));
        for line in [elsewhere, empty] {
            let mut server = Scripted::new(&framed(&[&line]));
            let pushed = converse(&mut server, &update(), &[]);
            assert_eq!(pushed, Ok(Pushed::Outrun));
            assert!(server.asked.is_empty());
        }
    }

    #[test]
    fn a_server_that_complains_is_heard() {
        let mut server = Scripted::new(&framed(&["ERR access denied"]));
        let complaint = Failure::Complaint("access denied".to_owned());
        assert_eq!(converse(&mut server, &update(), &[]), Err(complaint));
        for says in ["00ff1234", "<!DOCTYPE html>", "0003", ""] {
            let pushed = converse(&mut Scripted::new(says), &update(), &[]);
            assert!(matches!(pushed, Err(Failure::Protocol(_))), "{says:?}");
        }
    }

    #[test]
    fn what_servers_answer() {
        let refused = |why: &str| Some(Pushed::Refused(why.to_owned()));
        for (lines, want) in [
            (&["unpack ok", "ok refs/heads/main"][..], Some(Pushed::Done)),
            (
                &["unpack ok", "ng refs/heads/main failed to update ref"],
                Some(Pushed::Outrun),
            ),
            (
                &["unpack ok", "ng refs/heads/main pre-receive hook declined"],
                refused("pre-receive hook declined"),
            ),
            (
                &["unpack index-pack abnormal exit"],
                refused("unpacking failed: index-pack abnormal exit"),
            ),
            (&[], None),
        ] {
            let answer = framed(lines);
            let verdict = verdict(&mut answer.as_bytes(), NAME);
            assert_eq!(verdict.ok(), want, "{lines:?}");
        }
    }
}
