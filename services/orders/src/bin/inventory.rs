//! The program `inventory`; see `inventory --help`.

use std::process::ExitCode;

use clap::Parser;
use orders::inventory::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    orders::host::main(|stopping| run(arguments, stopping))
}
