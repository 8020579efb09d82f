//! `make bench`: what Weir costs, measured on a real control plane beside the floor, which is one client that
//! applies the same objects once over twenty connections.
//!
//! Prints a table, and writes the same figures to `bench.json` in the target folder. With words, only the
//! measurements run whose name has one of them: `make bench ONLY=100`.

#![allow(
    clippy::panic,
    reason = "a benchmark that cannot be set up has nothing to show"
)]

mod budget;
mod call;
mod chain;
mod change;
mod drift;
mod environments;
mod fleet;
mod floor;
mod large;
mod many;
mod plan;
mod process;
mod promote;
mod site;
mod size;
mod source;
mod table;
mod watching;

use table::Row;

/// A measurement: its name, and what it does.
type Measurement = (
    &'static str,
    fn() -> futures::future::LocalBoxFuture<'static, Vec<Row>>,
);

/// In the order in which they run: the quick look first.
const MEASUREMENTS: [Measurement; 10] = [
    ("fleet of 100", || Box::pin(many::measure(100))),
    ("chain of 10", || Box::pin(chain::measure(10))),
    ("receiver call", || Box::pin(call::measure())),
    ("promote 50", || Box::pin(promote::measure(50))),
    ("source 100000", || {
        Box::pin(source::measure(100_000, 5_000))
    }),
    ("plan 3000", || Box::pin(plan::measure(3_000))),
    ("large 10000", || Box::pin(large::measure(10_000))),
    ("repository size", || {
        Box::pin(size::measure(1_000, 100_000))
    }),
    ("environments 1000", || {
        Box::pin(environments::measure(1_000))
    }),
    ("fleet of 1000", || Box::pin(many::measure(1_000))),
];

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |word: &str| wanted.iter().any(|wanted| wanted == word);
    let chosen = |name: &str| wanted.is_empty() || name.split(' ').any(is_wanted);
    let mut rows = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if chosen(name) {
            eprintln!("bench: {name} …");
            let measured = measure().await;
            eprintln!("{}", table::markdown(&measured));
            rows.extend(measured);
        }
    }
    if rows.is_empty() {
        let names: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "bench: nothing is called so; there are: {}",
            names.join(", ")
        );
        std::process::exit(1);
    }
    println!("{}", table::markdown(&rows));
    table::keep(&rows);
}
