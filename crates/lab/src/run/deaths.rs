//! Processes that die by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use crate::report::Outcome;
use crate::system::Death;

/// What is needed to tell of processes that die by themselves.
pub(super) struct Deaths {
    pub(super) deaths: tokio::sync::mpsc::UnboundedReceiver<Death>,
    pub(super) journal: Journal,
    /// Whether all processes have been ready once.
    pub(super) started: Arc<AtomicBool>,
    pub(super) stop: CancellationToken,
    /// Nothing is left that could die.
    pub(super) all_stopped: CancellationToken,
}

/// A process that died by itself is a finding, and ends the run.
pub(super) async fn deaths_become_findings(mut watched: Deaths) {
    loop {
        let death = tokio::select! {
            biased;
            death = watched.deaths.recv() => death,
            () = watched.all_stopped.cancelled() => return,
        };
        let Some(death) = death else { return };
        // One that never got ready is reported by whoever starts the system. Later nobody else would: a fault that
        // starts its target again tries until it succeeds.
        if !death.was_ready && !watched.started.load(Ordering::Acquire) {
            continue;
        }
        let again = if death.was_ready { "" } else { " when it was started again" };
        let last = match death.output.join(" | ") {
            nothing if nothing.is_empty() => "it wrote nothing".to_owned(),
            lines => format!("its last lines: {lines}"),
        };
        let message = format!("{} ended by itself{again}: {}; {last}", death.process, death.status);
        watched.journal.finding(Outcome::Fail, "process-died", message);
        watched.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::run::Silent;

    async fn findings(deaths: Vec<Death>, started: bool) -> Vec<String> {
        let (sender, received) = tokio::sync::mpsc::unbounded_channel();
        let (journal, stop) = (Journal::new(Arc::new(Silent)), CancellationToken::new());
        let all_stopped = CancellationToken::new();
        deaths.into_iter().for_each(|death| sender.send(death).expect("it is received"));
        // All is over before the first death is looked at.
        all_stopped.cancel();
        let started = Arc::new(AtomicBool::new(started));
        let (journal_of, stop_of) = (journal.clone(), stop.clone());
        let watched = Deaths { deaths: received, journal: journal_of, started, stop: stop_of, all_stopped };
        deaths_become_findings(watched).await;
        let findings = journal.findings();
        assert_eq!(stop.is_cancelled(), !findings.is_empty());
        findings.into_iter().map(|finding| finding.message).collect()
    }

    fn death(was_ready: bool) -> Death {
        Death {
            process: "orders".to_owned(),
            status: "exited with 1".to_owned(),
            was_ready,
            output: vec!["ouch".to_owned()],
            at: Instant::now(),
        }
    }

    #[tokio::test]
    async fn a_death_is_told_however_late_it_is_heard_of() {
        assert_eq!(
            findings(vec![death(true)], true).await,
            ["orders ended by itself: exited with 1; its last lines: ouch"]
        );
    }

    #[tokio::test]
    async fn a_start_that_failed_is_told_once_the_system_was_up() {
        assert_eq!(findings(vec![death(false)], false).await, Vec::<String>::new());
        assert_eq!(
            findings(vec![death(false)], true).await,
            ["orders ended by itself when it was started again: exited with 1; its last lines: ouch"]
        );
    }
}
