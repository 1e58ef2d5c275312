//! SIGINT and SIGTERM: the first asks for the end, the second is the end.

use steadfast_lab::report::Outcome;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::print;

/// Cancels `interrupt` on the first signal, and on the second says `last_words` and ends the program.
pub(crate) async fn end_on_signals(interrupt: CancellationToken, last_words: &'static str) {
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
    };
    next().await;
    interrupt.cancel();
    next().await;
    print::error(last_words);
    std::process::exit(i32::from(Outcome::Interrupted.exit_code()));
}
