//! Golden folders: each is a tree (`input`), what is built of it (`build`: a path and flags, the root when left out),
//! and what comes out: `want.yaml`, as kustomize prints it, or `want-error`, one line for each error.
//!
//! `WEIR_BLESS=1` writes `want-error` and leaves `want.yaml` alone: those come from kustomize itself.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use overlay::build::{Build, LoadRestrictor, Options, Order, build};
use overlay::{Errors, MemTree};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::from_args();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(golden)? {
        folders.push(entry?.path());
    }
    folders.sort();
    let trials = folders.into_iter().map(|folder| {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Trial::test(name, move || {
            run(&folder).map_err(|error| Failed::from(error.to_string()))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn run(folder: &Path) -> Outcome<()> {
    let mut tree = MemTree::new();
    read_tree(&folder.join("input"), "", &mut tree)?;
    let line = fs::read_to_string(folder.join("build")).unwrap_or_default();
    let mut words = line.split_whitespace();
    let path = words.next().filter(|path| *path != ".").unwrap_or_default();
    let options = read_options(words)?;
    let built = build(&tree, path, &options);
    let want = folder.join("want.yaml");
    if want.exists() {
        same_yaml(&fs::read_to_string(want)?, built)
    } else {
        same_errors(&folder.join("want-error"), built)
    }
}

fn read_options<'w>(words: impl Iterator<Item = &'w str>) -> Outcome<Options<'static>> {
    let mut options = Options::default();
    for word in words {
        match word {
            "--flux" => options.flux = true,
            "--reorder=none" => options.order = Order::Fifo,
            "--enable-managedby-label" => options.managed_by_label = true,
            "--load-restrictor=LoadRestrictionsNone" => {
                options.load_restrictor = LoadRestrictor::None;
            }
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    Ok(options)
}

fn read_tree(folder: &Path, below: &str, tree: &mut MemTree) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            tree.insert_link(&path, &fs::read_link(entry.path())?.to_string_lossy());
        } else if kind.is_dir() {
            read_tree(&entry.path(), &path, tree)?;
        } else {
            tree.insert(&path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn same_yaml(want: &str, built: Result<Build, Errors>) -> Outcome<()> {
    let have = built.map_err(|errors| lines_of(&errors))?.to_yaml();
    differ(want, &have)
}

fn same_errors(want: &Path, built: Result<Build, Errors>) -> Outcome<()> {
    let have = match built {
        Ok(build) => return Err(format!("it was built:\n{}", build.to_yaml()).into()),
        Err(errors) => lines_of(&errors),
    };
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(want, &have)?;
    }
    differ(&fs::read_to_string(want)?, &have)
}

fn lines_of(errors: &Errors) -> String {
    errors.0.iter().map(|error| format!("{error}\n")).collect()
}

fn differ(want: &str, have: &str) -> Outcome<()> {
    if want == have {
        return Ok(());
    }
    let first = want
        .lines()
        .zip(have.lines())
        .take_while(|(want, have)| want == have)
        .count();
    Err(format!(
        "line {} is not as wanted\nwant:\n{want}\nhave:\n{have}",
        first + 1
    )
    .into())
}
