//! What the load saw, command by command, kept for the whole run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use steadfast_load::{Arrival, Command, CommandResult, Recorder};
use uuid::Uuid;

/// Most commands that a run keeps. Those beyond are counted, and a run that has any is not valid.
pub(crate) const COMMANDS_MAX: u64 = 20_000_000;

/// One command as it is kept. Times are since the load's start.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) step: u16,
    pub(crate) attempts: u32,
    pub(crate) result: CommandResult,
    /// Whether it may have taken effect though it was not acknowledged, by any of its attempts.
    pub(crate) unknown: bool,
    pub(crate) id: Uuid,
    /// The captured value that the step's invariant is keyed by.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) intended: Duration,
    pub(crate) dispatched: Duration,
    pub(crate) finished: Duration,
}

impl Row {
    pub(crate) fn latency(&self) -> Duration {
        self.finished.saturating_sub(self.intended)
    }

    /// Says whether the command was still to end, or ended, at or after `from`, and was to start before `to`.
    pub(crate) fn overlaps(&self, from: Duration, to: Duration) -> bool {
        self.intended < to && self.finished >= from
    }
}

/// Keeps every command and counts arrivals by second.
#[derive(Debug)]
pub(crate) struct Record {
    /// Per step, the name of the captured value that identifies whom a command concerns.
    keys: Vec<Option<String>>,
    commands_max: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    start: Option<Instant>,
    rows: Vec<Row>,
    /// Commands for which there was no room.
    dropped: u64,
    /// Arrivals that were due in each second, and those of them that were dispatched.
    arrivals: Vec<(u64, u64)>,
}

impl Record {
    /// Makes an empty record; `keys` has for each step the captured value to keep.
    pub(crate) fn new(keys: Vec<Option<String>>) -> Self {
        Self { keys, commands_max: COMMANDS_MAX, inner: Mutex::default() }
    }

    /// Returns how many commands were not kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.inner.lock().dropped
    }

    /// Returns the moment from which the load's times count.
    pub(crate) fn start(&self) -> Option<Instant> {
        self.inner.lock().start
    }

    /// Returns the rows from number `from` on.
    pub(crate) fn rows_from(&self, from: usize) -> Vec<Row> {
        let inner = self.inner.lock();
        inner.rows.get(from..).map(<[Row]>::to_vec).unwrap_or_default()
    }

    /// Calls `f` with all rows.
    pub(crate) fn with_rows<T>(&self, f: impl FnOnce(&[Row]) -> T) -> T {
        f(&self.inner.lock().rows)
    }

    /// Returns how many arrivals were due and how many dispatched in the second numbered `second`.
    pub(crate) fn arrivals_in(&self, second: usize) -> (u64, u64) {
        self.inner.lock().arrivals.get(second).copied().unwrap_or_default()
    }
}

impl Recorder for Record {
    fn started(&self, start: Instant) {
        self.inner.lock().start = Some(start);
    }

    fn arrival(&self, arrival: Arrival) {
        let mut inner = self.inner.lock();
        let second = arrival.intended.as_secs() as usize;
        if inner.arrivals.len() <= second {
            inner.arrivals.resize(second + 1, (0, 0));
        }
        inner.arrivals[second].0 += 1;
        inner.arrivals[second].1 += u64::from(arrival.dispatched.is_some());
    }

    fn command(&self, command: Command) {
        let key = self.keys.get(command.step).and_then(Option::as_deref);
        let row = Row {
            step: command.step as u16,
            attempts: command.attempts,
            result: command.result,
            unknown: command.is_unknown(),
            id: command.id,
            key: key.and_then(|name| command.captured.get(name)).map(Arc::from),
            intended: command.intended,
            dispatched: command.dispatched,
            finished: command.finished,
        };
        let mut inner = self.inner.lock();
        if (inner.rows.len() as u64) < self.commands_max {
            inner.rows.push(row);
        } else {
            inner.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(result: CommandResult, maybe_applied: bool) -> Command {
        Command {
            step: 0,
            sequence: 0,
            id: Uuid::nil(),
            captured: steadfast_load::Captured::default(),
            intended: Duration::ZERO,
            dispatched: Duration::ZERO,
            finished: Duration::ZERO,
            attempts: 2,
            result,
            maybe_applied,
        }
    }

    #[test]
    fn what_is_not_kept_is_counted() {
        let record = Record { commands_max: 1, ..Record::new(vec![None]) };
        (0..3).for_each(|_| record.command(command(CommandResult::TimedOut, false)));
        assert_eq!((record.rows_from(0).len(), record.dropped()), (1, 2));
    }

    #[test]
    fn a_refusal_after_an_attempt_without_answer_leaves_the_effect_unknown() {
        let record = Record::new(vec![None]);
        for (result, maybe_applied) in [
            (CommandResult::Refused { status: 409 }, true),
            (CommandResult::Refused { status: 409 }, false),
            (CommandResult::Succeeded { status: 200 }, true),
        ] {
            record.command(command(result, maybe_applied));
        }
        let unknown: Vec<bool> = record.rows_from(0).iter().map(|row| row.unknown).collect();
        assert_eq!(unknown, [true, false, false]);
    }
}
