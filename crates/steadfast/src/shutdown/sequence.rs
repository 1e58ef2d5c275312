//! An orderly end in four phases.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::{HumanDuration, format_duration};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};

/// What is done in which order when a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing new is taken: listeners close, readiness ends, subscriptions pause.
    StopTaking,
    /// What is under way is finished.
    Drain,
    /// What is held back is handed on: buffers, outboxes, telemetry.
    Flush,
    /// What holds it is closed: stores, connections.
    Close,
}

impl Phase {
    const ALL: [Self; 4] = [Self::StopTaking, Self::Drain, Self::Flush, Self::Close];

    /// Returns the name of the phase, which logs show.
    pub fn name(self) -> &'static str {
        match self {
            Self::StopTaking => "stop taking",
            Self::Drain => "drain",
            Self::Flush => "flush",
            Self::Close => "close",
        }
    }
}

/// How long each phase may take. All of them together are to be less than [`RuntimeConfig::drain`].
///
/// [`RuntimeConfig::drain`]: crate::runtime::RuntimeConfig::drain
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Of [`Phase::StopTaking`].
    pub stop_taking: HumanDuration,
    /// Of [`Phase::Drain`].
    pub drain: HumanDuration,
    /// Of [`Phase::Flush`].
    pub flush: HumanDuration,
    /// Of [`Phase::Close`].
    pub close: HumanDuration,
}

impl Default for Limits {
    /// 1 s, 5 s, 1 s and 2 s: one second less than a program has by default.
    fn default() -> Self {
        let seconds = |count| HumanDuration(Duration::from_secs(count));
        Self { stop_taking: seconds(1), drain: seconds(5), flush: seconds(1), close: seconds(2) }
    }
}

impl Limits {
    fn of(&self, phase: Phase) -> Duration {
        let limit = match phase {
            Phase::StopTaking => self.stop_taking,
            Phase::Drain => self.drain,
            Phase::Flush => self.flush,
            Phase::Close => self.close,
        };
        limit.into()
    }
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;
type Work = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The steps by which a program ends. The steps of one phase run at the same time, the phases one after the other, each
/// within its limit.
///
/// A step that fails, panics or takes too long is named, and keeps no later phase from running: a drain that hangs must
/// not leave the store open.
///
/// # Examples
/// ```
/// use steadfast::shutdown::{Limits, Phase, Sequence};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), steadfast::shutdown::Unfinished> {
/// let mut sequence = Sequence::new(Limits::default());
/// sequence.add(Phase::Close, "store", async { Ok(()) });
/// sequence.add(Phase::StopTaking, "listener", async { Ok(()) });
/// sequence.run().await
/// # }
/// ```
#[must_use = "it ends nothing before it is run"]
pub struct Sequence {
    limits: Limits,
    steps: Vec<Step>,
}

struct Step {
    phase: Phase,
    name: &'static str,
    work: Work,
}

impl Sequence {
    /// Creates a sequence without steps.
    pub fn new(limits: Limits) -> Self {
        Self { limits, steps: Vec::new() }
    }

    /// Adds a step to `phase`.
    pub fn add(
        &mut self,
        phase: Phase,
        name: &'static str,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.steps.push(Step { phase, name, work: Box::pin(work) });
    }

    /// Runs all steps.
    ///
    /// # Errors
    /// [`Unfinished`] names the steps that did not end well; all phases were run.
    ///
    /// # Cancel safety
    /// Dropping the future drops the steps that are under way and those that have not begun.
    pub async fn run(mut self) -> Result<(), Unfinished> {
        let mut failed = Vec::new();
        for phase in Phase::ALL {
            let (now, later): (Vec<_>, Vec<_>) = self.steps.into_iter().partition(|step| step.phase == phase);
            self.steps = later;
            if now.is_empty() {
                continue;
            }
            let (start, limit) = (Instant::now(), self.limits.of(phase));
            failed.extend(run_phase(phase, now, limit).await);
            let took = format_duration(Duration::from_millis(start.elapsed().as_millis() as u64));
            tracing::info!(phase = phase.name(), took, "shutting down");
        }
        if failed.is_empty() { Ok(()) } else { Err(Unfinished { failed }) }
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.steps.iter().map(|step| (step.phase.name(), step.name));
        f.debug_map().entries(steps).finish()
    }
}

/// Runs the steps of a phase, and returns those that did not end well.
async fn run_phase(phase: Phase, steps: Vec<Step>, limit: Duration) -> Vec<FailedStep> {
    // Dropping the set aborts what is left.
    let mut tasks = JoinSet::new();
    let mut left = Vec::new();
    for Step { name, work, .. } in steps {
        left.push((tasks.spawn(work).id(), name));
    }
    let mut failed = Vec::new();
    let deadline = Instant::now() + limit;
    while let Ok(Some(ended)) = timeout_at(deadline, tasks.join_next_with_id()).await {
        let (id, why) = match ended {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(error))) => (id, Some(error.to_string())),
            Err(error) => (error.id(), Some("it panicked".to_owned())),
        };
        if let (Some(name), Some(why)) = (take(&mut left, id), why) {
            failed.push(FailedStep { phase, name, why });
        }
    }
    let why = format!("it took longer than {}", format_duration(limit));
    failed.extend(left.into_iter().map(|(_, name)| FailedStep { phase, name, why: why.clone() }));
    for FailedStep { phase, name, why } in &failed {
        tracing::error!(phase = phase.name(), step = name, why, "a step of the shutdown failed");
    }
    failed
}

fn take(left: &mut Vec<(Id, &'static str)>, id: Id) -> Option<&'static str> {
    let at = left.iter().position(|(task, _)| *task == id)?;
    Some(left.swap_remove(at).1)
}

/// Steps of a shutdown did not end well; the others did. Look at what they name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Those steps, in the order of their phases.
    pub failed: Vec<FailedStep>,
}

/// A step that did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedStep {
    /// The phase that it belongs to.
    pub phase: Phase,
    /// Its name.
    pub name: &'static str,
    /// What went wrong.
    pub why: String,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shutdown was not clean: ")?;
        for (at, FailedStep { phase, name, why }) in self.failed.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{} {name}: {why}", phase.name())?;
        }
        Ok(())
    }
}

impl Error for Unfinished {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn phases_run_in_order_and_their_steps_at_the_same_time() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut sequence = Sequence::new(Limits::default());
        for (phase, name, takes) in [
            (Phase::Close, "store", 1),
            (Phase::Drain, "slow", 3),
            (Phase::Drain, "fast", 2),
            (Phase::Flush, "outbox", 0),
            (Phase::StopTaking, "listener", 0),
        ] {
            let said = Arc::clone(&said);
            sequence.add(phase, name, async move {
                sleep(takes * SECOND).await;
                said.lock().push(name);
                Ok(())
            });
        }
        let start = Instant::now();
        assert_eq!(sequence.run().await, Ok(()));
        assert_eq!(*said.lock(), ["listener", "fast", "slow", "outbox", "store"]);
        assert_eq!(start.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_is_named_and_keeps_nothing_from_being_closed() {
        let closed = Arc::new(Mutex::new(false));
        let close = Arc::clone(&closed);
        let mut sequence = Sequence::new(Limits::default());
        sequence.add(Phase::StopTaking, "listener", async { Err("no socket".into()) });
        sequence.add(Phase::Drain, "commands", std::future::pending());
        sequence.add(Phase::Flush, "outbox", async { panic!("in the test") });
        sequence.add(Phase::Close, "store", async move {
            *close.lock() = true;
            Ok(())
        });
        let start = Instant::now();
        let unfinished = sequence.run().await.expect_err("three steps went wrong");
        assert_eq!(start.elapsed().as_secs(), 5);
        assert!(*closed.lock());
        assert_eq!(
            unfinished.to_string(),
            "the shutdown was not clean: stop taking listener: no socket; drain commands: it took longer than 5s; \
             flush outbox: it panicked"
        );
    }
}
