//! The program `orders`; see `orders --help`.

use std::process::ExitCode;

use clap::Parser;
use orders::orders::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    orders::host::main(|stopping| run(arguments, stopping))
}
