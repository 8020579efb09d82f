//! What a process has used, from `/proc`.

use std::fs;
use std::time::Duration;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident now, in MiB.
    pub(crate) resident: f64,
    /// The most that was ever resident, in MiB.
    pub(crate) peak: f64,
    /// Time on a processor, in the program and in the kernel.
    pub(crate) processor: Duration,
}

/// Ticks a second, the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Reads what a process has used.
pub(crate) fn usage(id: u32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("look at a process");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kibibytes.expect("a process has a size") / 1024.0
    };
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("look at a process");
    // The name, in brackets, may hold anything.
    let after_name = stat.rsplit_once(')').expect("a process has a name").1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|tick| tick.parse::<f64>().ok()).sum();
    Usage {
        resident: field("VmRSS:"),
        peak: field("VmHWM:"),
        processor: Duration::from_secs_f64(ticks / TICKS),
    }
}
