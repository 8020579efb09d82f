//! What Linux tells a process of itself, under the names that Prometheus' own libraries give it; nothing where there is
//! no `/proc`.

use std::fmt;
use std::fs;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::gauges::gauge;

/// Ticks of a second in what Linux tells, on every machine.
const TICKS: f64 = 100.0;

/// Where the fields that are read stand in `/proc/self/stat`, counted from the one after the name.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;

/// Measures memory, time and open files.
pub(super) fn measure(encoder: &mut DescriptorEncoder) -> fmt::Result {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (status, stat) = (read("/proc/self/status"), read("/proc/self/stat"));
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes",
            kilobytes(&status, "VmRSS:"),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            kilobytes(&status, "VmSize:"),
        ),
        (
            "process_open_fds",
            "Number of open file descriptors",
            open_files(),
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors",
            allowed_files(&read("/proc/self/limits")),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds",
            started(&read("/proc/stat"), &stat),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            gauge(encoder, name, help, value)?;
        }
    }
    if let Some(ticks) = ticks(&stat, USER_TIME).zip(ticks(&stat, SYSTEM_TIME)) {
        let seconds = (ticks.0 + ticks.1) / TICKS;
        let help = "Total user and system CPU time spent in seconds";
        let name = "process_cpu_seconds";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
    }
    Ok(())
}

/// `VmRSS:  1234 kB`.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// A time in ticks, from the fields after the name, which may hold anything.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(field)?.parse().ok()
}

/// When the process began: so long after the machine did.
fn started(machine: &str, stat: &str) -> Option<u64> {
    let mut lines = machine.lines();
    let began: u64 = lines
        .find_map(|line| line.strip_prefix("btime "))?
        .parse()
        .ok()?;
    let after = ticks(stat, START_TIME)? / TICKS;
    Some(began + after as u64)
}

fn open_files() -> Option<u64> {
    let files = fs::read_dir("/proc/self/fd").ok()?;
    u64::try_from(files.count()).ok()
}

/// `Max open files   1024   4096   files`: the limit that holds comes first.
fn allowed_files(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let limits = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    limits.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a ) name) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 9900 1000 1024 0";
        assert_eq!(ticks(stat, USER_TIME), Some(250.0));
        assert_eq!(ticks(stat, SYSTEM_TIME), Some(50.0));
        assert_eq!(ticks("7 (weir) S 1", USER_TIME), None);
        assert_eq!(started("cpu 1\nbtime 1000\n", stat), Some(1099));
        let status = "Name:\tweir\nVmHWM:\t   99 kB\nVmRSS:\t   12 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(12 * 1024));
        assert_eq!(kilobytes("VmRSS: many", "VmRSS:"), None);
        let limits =
            "Limit\nMax open files            1024                 4096                 files\n";
        assert_eq!(allowed_files(limits), Some(1024));
    }
}
