//! The program `inventory`; see `inventory --help`.

use std::process::ExitCode;

use clap::Parser;
use orders::inventory::{Arguments, run};

fn main() -> ExitCode {
    orders::host::main(run(Arguments::parse()))
}
