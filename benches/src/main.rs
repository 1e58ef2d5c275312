//! Side-by-side benchmarks: ours and the best peer in the same run on the same machine, quoted as ratios.

mod allocations;
mod bus;
mod cell;
mod guards;
mod http;
mod load;
mod log;
mod memory;
mod overload;
mod plots;
mod replay;
mod repository;
mod scope;
mod servers;
mod stores;
mod workers;

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;

/// Runs benchmarks beside the best peers and prints rows of name, ours, peer, ratio.
#[derive(Debug, Parser)]
pub struct Options {
    /// Runs only the benchmarks whose name starts with this; `plots` draws those of the guide instead.
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

impl Row {
    /// Makes the row of a figure that is compared with nothing; JSON has `null` for what there is not.
    pub fn alone(name: impl Into<String>, ours: f64, unit: &str) -> Self {
        Self {
            name: name.into(),
            ours,
            peer: f64::NAN,
            peer_name: "no peer".to_owned(),
            ratio: f64::NAN,
            ratio_wanted: None,
            unit: unit.to_owned(),
        }
    }
}

/// Says on standard error what is measured now.
pub(crate) fn progress(what: impl std::fmt::Display) {
    eprintln!("  {what} …");
}

type Benchmark = fn(&Options) -> anyhow::Result<Vec<Row>>;

/// Every benchmark by name; each is a group of rows.
const BENCHMARKS: &[(&str, Benchmark)] = &[
    ("bus", bus::run),
    ("cell", cell::run),
    ("guards", guards::run),
    ("http", http::run),
    ("load", load::run),
    ("log", log::run),
    ("overload", overload::run),
    ("replay", replay::run),
    ("repository", repository::run),
    ("scope", scope::run),
    ("stores", stores::run),
    ("workers", workers::run),
];

fn main() -> anyhow::Result<()> {
    let is_asked = load::serve_if_asked()?
        || http::serve_if_asked()?
        || replay::replay_if_asked()?
        || repository::measure_if_asked()?
        || workers::run_if_asked()?;
    if is_asked {
        return Ok(());
    }
    let options = Options::parse();
    if options.name.as_deref() == Some("plots") {
        // Not among the others: it writes into the guide and compares nothing.
        return plots::run();
    }
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
        "{:<60} {:>12} {:>12} {:<26} {:>7} {:>7}  unit",
        "name", "ours", "peer", "peer's name", "ratio", "wanted"
    );
    for row in rows {
        let number = |value: f64, decimals: usize| match value.is_nan() {
            true => "-".to_owned(),
            false => format!("{value:.decimals$}"),
        };
        // Small figures are of nanoseconds, where a tenth counts.
        let decimals = |value: f64| if value.abs() < 100.0 { 1 } else { 0 };
        let wanted = number(row.ratio_wanted.unwrap_or(f64::NAN), 2);
        println!(
            "{:<60} {:>12} {:>12} {:<26} {:>7} {:>7}  {}",
            row.name,
            number(row.ours, decimals(row.ours)),
            number(row.peer, decimals(row.peer)),
            row.peer_name,
            number(row.ratio, 2),
            wanted,
            row.unit
        );
    }
    Ok(())
}
