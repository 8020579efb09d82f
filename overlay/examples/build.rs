//! Builds a folder of the disk and prints it: the composer alone, to score and to measure it.

use std::path::Path;
use std::process::ExitCode;

use overlay::build::{LoadRestrictor, Options, Order, build};

#[path = "../../controller/src/source/work_tree.rs"]
#[allow(dead_code)]
mod work_tree;

fn main() -> ExitCode {
    let mut options = Options::default();
    let mut folder = String::from(".");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--reorder=none" => options.order = Order::Fifo,
            "--enable-managedby-label" => options.managed_by_label = true,
            "--load-restrictor=LoadRestrictionsNone" => {
                options.load_restrictor = LoadRestrictor::None;
            }
            "--flux" => options.flux = true,
            "--reads" => options.record_reads = true,
            path => folder = path.to_owned(),
        }
    }
    let (tree, path) = match work_tree::open(Path::new(&folder), Some(Path::new("/"))) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match build(&tree, &path, &options) {
        Ok(built) => {
            print!("{}", built.to_yaml());
            built
                .warnings
                .iter()
                .for_each(|warning| eprintln!("warning: {warning}"));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            errors
                .0
                .iter()
                .for_each(|error| eprintln!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
