//! How a run is shown while it goes on.

mod live;
mod plain;

use std::io::IsTerminal;

use steadfast_lab::run::{Progress, Silent};

/// Chooses the view: none where only verdicts are wanted, live on a terminal, plain lines elsewhere.
pub(crate) fn choose(silent: bool) -> Box<dyn Progress> {
    if silent {
        Box::new(Silent)
    } else if std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
        Box::new(live::Live::new())
    } else {
        Box::new(plain::Plain)
    }
}
