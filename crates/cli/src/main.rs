//! The command `steadfast`: parses, calls, prints. Results go to standard output, the rest to standard error.

mod arguments;
mod documents;
mod load;
mod log;
mod print;
mod prove;
mod recover;
mod signals;
mod validate;
mod view;

use std::panic::AssertUnwindSafe;
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
    // A verdict stands in the report as well.
    let has_report = matches!(arguments.command, Command::Prove(_));
    let result = match arguments.command {
        Command::Prove(arguments) => contained(|| prove::run(&arguments)),
        Command::Validate(arguments) => contained(|| validate::run(&arguments)),
        Command::Recover(arguments) => contained(|| recover::run(&arguments)),
        Command::Load(arguments) => contained(|| load::run(&arguments)),
        Command::Log(arguments) => contained(|| log::run(&arguments)),
        Command::Watchdog(arguments) => return steadfast_lab::undo::watchdog_main(&arguments.arguments),
    };
    match result {
        Ok(Outcome::Pass) if let Some(why) = print::lost().filter(|_| !has_report) => {
            print::error(&format!("the result could not be written to standard output: {why}"));
            ExitCode::from(Outcome::Internal.exit_code())
        }
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(failure) => {
            // What is wrong with a document begins with its place, so that editors and people can follow it.
            let print = if failure.has_place { print::aside } else { print::error };
            print(&failure.message);
            ExitCode::from(failure.outcome.exit_code())
        }
    }
}

/// Makes a panic an internal error, so that its exit code is one of those that are documented.
fn contained(command: impl FnOnce() -> Result<Outcome, Failure>) -> Result<Outcome, Failure> {
    // Nothing that the command has touched is used after it.
    std::panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let message = "this is a defect of steadfast; the watchdog undoes what is open, \
                       and `steadfast recover --list` shows what is left";
        Err(Failure::internal(message))
    })
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

    pub(crate) fn refused(message: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Refused, message: message.to_string(), has_place: false }
    }

    pub(crate) fn violated(message: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Fail, message: message.to_string(), has_place: false }
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self { outcome: Outcome::Internal, message: message.to_string(), has_place: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        let result = contained(|| panic!("as it should not be"));
        assert_eq!(result.expect_err("it panicked").outcome.exit_code(), 70);
        assert_eq!(contained(|| Ok(Outcome::Fail)).expect("it ran"), Outcome::Fail);
    }
}
