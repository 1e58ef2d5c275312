//! The program `payment`; see `payment --help`.

use std::process::ExitCode;

use clap::Parser;
use orders::payment::{Arguments, run};

fn main() -> ExitCode {
    orders::host::main(run(Arguments::parse()))
}
