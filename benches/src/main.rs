//! Side-by-side benchmarks: ours and the best peer in the same run on the same machine, quoted as ratios.

mod bus;
mod cell;
mod http;
mod load;
mod log;
mod memory;
mod replay;
mod scope;
mod workers;

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;

/// Runs benchmarks beside the best peers and prints rows of name, ours, peer, ratio.
#[derive(Debug, Parser)]
pub struct Options {
    /// Runs only the benchmarks whose name starts with this.
    name: Option<String>,
    /// Shorter runs, for a first look.
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// One comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What is compared.
    pub name: String,
    /// Our figure.
    pub ours: f64,
    /// The peer's figure.
    pub peer: f64,
    /// Who the peer is.
    pub peer_name: String,
    /// Ours over the peer's where more is better, the peer's over ours where less is.
    pub ratio: f64,
    /// The ratio asked for, if one is.
    pub ratio_wanted: Option<f64>,
    /// The unit of both figures.
    pub unit: String,
}

type Benchmark = fn(&Options) -> anyhow::Result<Vec<Row>>;

/// Every benchmark by name; each is a group of rows.
const BENCHMARKS: &[(&str, Benchmark)] = &[
    ("bus", bus::run),
    ("cell", cell::run),
    ("http", http::run),
    ("load", load::run),
    ("log", log::run),
    ("replay", replay::run),
    ("scope", scope::run),
    ("workers", workers::run),
];

fn main() -> anyhow::Result<()> {
    let is_asked = load::serve_if_asked()?
        || http::serve_if_asked()?
        || replay::replay_if_asked()?
        || workers::run_if_asked()?;
    if is_asked {
        return Ok(());
    }
    let options = Options::parse();
    let mut rows = Vec::new();
    for (name, run) in BENCHMARKS {
        if options.name.as_deref().is_none_or(|wanted| name.starts_with(wanted)) {
            eprintln!("{name} …");
            rows.extend(run(&options).with_context(|| format!("benchmark {name}"))?);
        }
    }
    print(&rows, options.json)
}

#[allow(clippy::print_stdout, reason = "this is the program's output")]
fn print(rows: &[Row], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    }
    println!(
        "{:<44} {:>12} {:>12} {:<26} {:>7} {:>7}  unit",
        "name", "ours", "peer", "peer's name", "ratio", "wanted"
    );
    for row in rows {
        let wanted = row.ratio_wanted.map_or("-".to_owned(), |w| format!("{w:.2}"));
        println!(
            "{:<44} {:>12.0} {:>12.0} {:<26} {:>7.2} {:>7}  {}",
            row.name, row.ours, row.peer, row.peer_name, row.ratio, wanted, row.unit
        );
    }
    Ok(())
}
