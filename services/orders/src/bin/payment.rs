//! The program `payment`; see `payment --help`.

use std::process::ExitCode;

use clap::Parser;
use orders::payment::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    orders::host::main(|stopping| run(arguments, stopping))
}
