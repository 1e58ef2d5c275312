//! The program `orders`; see `orders --help`.

use std::process::ExitCode;

use clap::Parser;
use orders::orders::{Arguments, run};

fn main() -> ExitCode {
    orders::host::main(run(Arguments::parse()))
}
