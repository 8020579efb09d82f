//! Measures how long it takes to open many encrypted Secrets in one process, and beside it the sops program, which is
//! started for each file: `bench [--count N] [--rounds N] [--sops PROGRAM]`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use overlay::build::{Opener as _, Purpose, Sealed};
use sops::{Answers, Cache, Format, Keyring, MacPolicy, Opener, Recipe, Recipient, Rule, Time};

/// How many files the sops program opens in a round; with five rounds that is a hundred.
const RUNS: usize = 20;

struct Arguments {
    count: usize,
    rounds: usize,
    sops: Option<PathBuf>,
}

struct Files {
    identity: String,
    keyring: Keyring,
    sealed: Vec<Vec<u8>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let files = files(arguments.count)?;
    let folder = write(&files)?;
    let cache = Cache::new(1 << 30);
    let (mut once, mut again, mut other) = (Vec::new(), Vec::new(), Vec::new());
    // Each round measures all sides, so that whatever else the machine does is shared.
    for _ in 0..arguments.rounds {
        once.push(open_all(&files, None)?);
        open_all(&files, Some(&cache))?;
        again.push(open_all(&files, Some(&cache))?);
        if let Some(program) = &arguments.sops {
            other.push(run_sops(program, &folder)?);
        }
    }
    std::fs::remove_dir_all(&folder)?;
    print(&arguments, &once, &again, &other);
    Ok(())
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        count: 1000,
        rounds: 5,
        sops: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("a flag needs a value")?;
        match word.as_str() {
            "--count" => arguments.count = value.parse()?,
            "--rounds" => arguments.rounds = value.parse()?,
            "--sops" if value.is_empty() => {}
            "--sops" => arguments.sops = Some(value.into()),
            _ => return Err("usage: bench [--count N] [--rounds N] [--sops PROGRAM]".into()),
        }
    }
    Ok(arguments)
}

fn files(count: usize) -> Result<Files, sops::Error> {
    let key = sops::generate(false)?;
    let mut keyring = Keyring::default();
    keyring.add(&key.identity)?;
    let recipient = key.recipient;
    let recipe = Recipe {
        groups: vec![vec![Recipient::Age { recipient }]],
        rule: Rule::EncryptedRegex("^(data|stringData)$".to_owned()),
        ..Recipe::default()
    };
    let now = Time::parse_rfc3339("2024-05-06T07:08:09Z").unwrap_or_default();
    let sealed = (0..count)
        .map(|number| {
            let text = format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n    name: s{number}\nstringData:\n    \
                 user: user{number}\n    password: p{number}\n    url: https://example.com/{number}\n"
            );
            sops::encrypt(text.as_bytes(), Format::Yaml, &recipe, &keyring, now)
        })
        .collect::<Result<_, _>>()?;
    Ok(Files {
        identity: key.identity.to_string(),
        keyring,
        sealed,
    })
}

/// The key, and as many of the files as the sops program opens.
fn write(files: &Files) -> Result<PathBuf, Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("bench-sops-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("age.agekey"), &files.identity)?;
    for (number, file) in files.sealed.iter().take(RUNS).enumerate() {
        std::fs::write(folder.join(format!("{number}.yaml")), file)?;
    }
    Ok(folder)
}

/// Opens all files as a build does.
fn open_all(files: &Files, cache: Option<&Cache>) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let answers = Answers::new();
    let opener = Opener::new(&files.keyring, &answers, MacPolicy::Error);
    let opener = match cache {
        Some(cache) => opener.with_cache(cache),
        None => opener,
    };
    for bytes in &files.sealed {
        let opened = opener.open(&Sealed {
            path: "secret.yaml",
            name: "secret.yaml",
            bytes,
            purpose: Purpose::Resource,
        })?;
        opened.ok_or("a file stayed closed")?;
    }
    Ok(started.elapsed())
}

/// Runs the sops program on each of its files.
fn run_sops(program: &Path, folder: &Path) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    for number in 0..RUNS {
        let status = Command::new(program)
            .arg("-d")
            .arg(folder.join(format!("{number}.yaml")))
            .env("SOPS_AGE_KEY_FILE", folder.join("age.agekey"))
            .env("SOPS_DISABLE_VERSION_CHECK", "true")
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("{} -d: {status}", program.display()).into());
        }
    }
    Ok(started.elapsed())
}

fn print(arguments: &Arguments, once: &[Duration], again: &[Duration], other: &[Duration]) {
    let count = arguments.count;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let (first, cached) = (median(once), median(again));
    println!(
        "{count} age-encrypted Secrets; medians of {} rounds",
        arguments.rounds
    );
    println!("| | all files | a file |\n| --- | --- | --- |");
    let row = |name: &str, time: Duration, files: usize| {
        let all = milliseconds(time) * count as f64 / files as f64;
        println!("| {name} | {all:.0} ms | {:.3} ms |", all / count as f64);
    };
    row("Weir, one process, one thread", first, count);
    row("Weir, files that were opened before", cached, count);
    if !other.is_empty() {
        let time = median(other);
        row("sops -d, a process a file", time, RUNS);
        let each = time.as_secs_f64() / RUNS as f64;
        println!(
            "sops -d ran {} times and is extrapolated to {count}; Weir takes 1/{:.0} of that.",
            RUNS * other.len(),
            each / (first.as_secs_f64() / count as f64)
        );
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
