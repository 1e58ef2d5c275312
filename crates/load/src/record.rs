use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::CommandResult;

/// Receives what the load saw, as it happens.
///
/// Methods are called from the threads of the generator, many at once, between two requests: they must be quick
/// and must not block.
pub trait Recorder: Send + Sync + 'static {
    /// Is told the moment from which all times count, before the first arrival.
    fn started(&self, _start: Instant) {}

    /// Is told of each arrival once it is known when its first request was dispatched.
    fn arrival(&self, _arrival: Arrival) {}

    /// Is told of each command that ended, whatever its result.
    fn command(&self, command: Command);
}

/// Shares one recorder between a run and whoever reads it.
impl<R: Recorder + ?Sized> Recorder for Arc<R> {
    fn started(&self, start: Instant) {
        (**self).started(start);
    }

    fn arrival(&self, arrival: Arrival) {
        (**self).arrival(arrival);
    }

    fn command(&self, command: Command) {
        (**self).command(command);
    }
}

/// An arrival of the schedule. Times are since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the schedule, from 0.
    pub sequence: u64,
    /// When it was due.
    pub intended: Duration,
    /// When its first request was handed to a connection; none if that never happened, because the bounds of the
    /// generator stood in the way.
    pub dispatched: Option<Duration>,
}

/// One run of one step: a request and its repetitions under one key. Times are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The step's place in the plan.
    pub step: usize,
    /// The number of the arrival it belongs to, from 0.
    pub sequence: u64,
    /// The idempotency key: `${uuid}`, the same in all attempts.
    pub id: Uuid,
    /// What the arrival has captured so far, with this command's own answer.
    pub captured: Captured,
    /// When it should have started: for the first step of an arrival its place in the schedule, for a later one the
    /// end of the step before it.
    pub intended: Duration,
    /// When its first attempt was handed to a connection; where none ever was, when that was given up.
    pub dispatched: Duration,
    /// When its result was known.
    pub finished: Duration,
    /// How many attempts were made, 0 where no connection was free.
    pub attempts: u32,
    /// How it ended: the result of the last attempt.
    pub result: CommandResult,
    /// Whether the effect of an attempt before the last is unknown, such as of one that timed out.
    pub maybe_applied: bool,
}

impl Command {
    /// Returns the latency as the one who waits sees it: from the intended start, over all attempts.
    pub fn latency(&self) -> Duration {
        self.finished.saturating_sub(self.intended)
    }

    /// Says whether the command may have taken effect without an acknowledgement: at most once, or not at all.
    pub fn is_unknown(&self) -> bool {
        !self.result.is_acknowledged() && (self.maybe_applied || self.result.is_unknown())
    }
}

/// The values that an arrival has captured, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    pub(crate) values: Option<Arc<Values>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) names: Arc<[String]>,
    pub(crate) slots: Vec<Option<Arc<str>>>,
}

impl Captured {
    /// Returns the value captured as `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns all names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().flat_map(|values| {
            let slots = values.slots.iter().map(Option::as_deref);
            values.names.iter().zip(slots).filter_map(|(name, value)| Some((name.as_str(), value?)))
        })
    }

    pub(crate) fn slot(&self, slot: usize) -> Option<&str> {
        self.values.as_ref()?.slots[slot].as_deref()
    }

    pub(crate) fn set(&mut self, names: &Arc<[String]>, slot: usize, value: String) {
        let empty = || Arc::new(Values { names: names.clone(), slots: vec![None; names.len()] });
        Arc::make_mut(self.values.get_or_insert_with(empty)).slots[slot] = Some(value.into());
    }
}
