//! The project's own commands: `cargo xtask COMMAND`.

mod bench;
mod command;
mod instructions;
mod kafka;
mod layers;
mod licenses;
mod prove;
mod servers;
mod setup;
mod test;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds everything in release and proves the orders service: four experiments, verdicts and reports.
    Prove(prove::Arguments),
    /// Sets up what tests need and runs every test, the failing twins and the nginx experiment.
    Test(test::Arguments),
    /// Runs side-by-side benchmarks in release.
    Bench(bench::Arguments),
    /// Counts the instructions of a call through each guard and compares them with what is on file.
    Instructions(instructions::Arguments),
    /// Checks that dependencies point down only and that only `backends` names a driver.
    Layers,
    /// Checks that every dependency has a licence that deny.toml allows.
    Licenses,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Instructions(arguments) => instructions::run(&arguments),
        Command::Layers => layers::run(),
        Command::Licenses => licenses::run(),
    }
}
