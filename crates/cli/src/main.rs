//! The command `steadfast`: parses, calls, prints. Results go to standard output, the rest to standard error.

mod arguments;
mod documents;
mod load;
mod print;
mod prove;
mod recover;
mod signals;
mod validate;
mod view;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use steadfast_lab::report::Outcome;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, everything else is wrong input.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Outcome::Usage.exit_code() } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Recover(arguments) => recover::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Watchdog(arguments) => return steadfast_lab::undo::watchdog_main(&arguments.arguments),
    };
    match result {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(failure) => {
            // What is wrong with a document begins with its place, so that editors and people can follow it.
            let print = if failure.has_place { print::aside } else { print::error };
            print(&failure.message);
            ExitCode::from(failure.outcome.exit_code())
        }
    }
}

/// Why a command could not give a result.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    pub(crate) message: String,
    has_place: bool,
}

impl Failure {
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Usage, message: message.to_string(), has_place: false }
    }

    /// Lines of the form `file:line:column: …`.
    pub(crate) fn documents(lines: &[String]) -> Self {
        Self { outcome: Outcome::Usage, message: lines.join("\n"), has_place: true }
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Internal, message: message.to_string(), has_place: false }
    }
}
