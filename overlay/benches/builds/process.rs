//! One run of a program: its time and its peak of memory.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What a run took: milliseconds, and megabytes of 2^20 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) wall: f64,
    pub(crate) user: f64,
    pub(crate) memory: f64,
}

/// Runs a command in a process of its own that has no other children: the system tells their peak together.
pub(crate) fn measure(command: &[&str]) -> Run {
    run_itself(&[&["measure"], command].concat())
}

/// Runs this program, which prints what it took.
pub(crate) fn run_itself(arguments: &[&str]) -> Run {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this).args(arguments).output();
    let text = String::from_utf8(output.expect("a run").stdout).expect("numbers");
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(numbers.len(), 3, "{arguments:?} failed");
    Run {
        wall: numbers[0],
        user: numbers[1],
        memory: numbers[2],
    }
}

/// Runs a command and prints what it took.
pub(crate) fn print_measured(command: &[&str]) {
    let [program, arguments @ ..] = command else {
        return;
    };
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let wall = start.elapsed().as_secs_f64() * 1e3;
    let memory = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss());
    if status.is_ok_and(|status| status.success()) {
        let user = user_time(UsageWho::RUSAGE_CHILDREN);
        println!("{wall} {user} {}", memory as f64 / 1024.0);
    }
}

/// Milliseconds on a processor.
pub(crate) fn user_time(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("the usage");
    usage.user_time().num_microseconds() as f64 / 1e3
}

/// The peak of this process's memory.
pub(crate) fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// The middle of each number.
pub(crate) fn median(runs: Vec<Run>) -> Run {
    let middle = |number: fn(&Run) -> f64| {
        let mut numbers: Vec<f64> = runs.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    Run {
        wall: middle(|run| run.wall),
        user: middle(|run| run.user),
        memory: middle(|run| run.memory),
    }
}
