//! `weir build` beside `kustomize build`, as whole processes in turns: `make bench-overlay` prints the table.
//!
//! Then what the library does by itself: reading and writing, builds that share, and hostile trees.

mod inputs;
mod library;
mod process;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use inputs::Input;
use process::{Run, measure, median};

/// The programs, and where the cases are that lie beside the repository.
struct Setting {
    weir: PathBuf,
    kustomize: PathBuf,
    corpus: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["measure", ref command @ ..] => process::print_measured(command),
        ["hostile", number] => library::build_hostile(number.parse().unwrap_or_default()),
        _ => match setting() {
            Ok(setting) => all(&setting),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
}

fn setting() -> Result<Setting, String> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = || {
        let mut programs = std::env::split_paths(&path).map(|folder| folder.join("kustomize"));
        programs.find(|program| program.is_file())
    };
    let kustomize = variable("KUSTOMIZE").or_else(on_path).ok_or(
        "kustomize is missing: go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1, or say KUSTOMIZE=PROGRAM",
    )?;
    let weir = variable("WEIR").ok_or("say WEIR=PROGRAM, the release build of weir")?;
    Ok(Setting {
        weir,
        kustomize,
        corpus: variable("CORPUS"),
    })
}

fn all(setting: &Setting) {
    let floor = median((0..21).map(|_| measure(&["true"])).collect());
    println!(
        "medians of runs in turns, whole process; `true` takes {}\n",
        shown(&floor)
    );
    println!(
        "| input | weir: wall, user, memory | kustomize: wall, user, memory | wall | user | goal | memory | goal |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().expect("a folder");
    for input in inputs::all(folder.path(), setting.corpus.as_deref()) {
        row(setting, &input);
    }
    println!();
    library::print();
}

fn row(setting: &Setting, input: &Input) {
    let (mut weir, mut kustomize) = (Vec::new(), Vec::new());
    let folder = input.folder.to_string_lossy();
    let command = |program: &Path| {
        vec![
            program.to_string_lossy().into_owned(),
            "build".to_owned(),
            folder.to_string(),
        ]
    };
    for _ in 0..input.runs {
        for (program, runs) in [
            (&setting.weir, &mut weir),
            (&setting.kustomize, &mut kustomize),
        ] {
            let command = command(program);
            runs.push(measure(
                &command.iter().map(String::as_str).collect::<Vec<_>>(),
            ));
        }
    }
    let (weir, kustomize) = (median(weir), median(kustomize));
    let ratio = |ours: f64, theirs: f64| format!("1/{:.1}", theirs / ours);
    println!(
        "| {} | {} | {} | {} | {} | ≤ 1/{} | {} | ≤ 1/{} |",
        input.name,
        shown(&weir),
        shown(&kustomize),
        ratio(weir.wall, kustomize.wall),
        ratio(weir.user, kustomize.user),
        input.time_goal,
        ratio(weir.memory, kustomize.memory),
        input.memory_goal,
    );
}

fn shown(run: &Run) -> String {
    format!(
        "{:.1} ms, {:.1} ms, {:.1} MB",
        run.wall, run.user, run.memory
    )
}
