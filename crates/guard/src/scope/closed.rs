//! What closing a scope found.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use steadfast_base::units::format_duration;

/// One task of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The name that it was spawned with.
    pub name: &'static str,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// How long ago.
    pub age: Duration,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below a millisecond it says nothing to whoever reads it.
        let age = Duration::from_millis(self.age.as_millis() as u64);
        write!(f, "{} ({}, {} old)", self.name, self.spawned_at, format_duration(age))
    }
}

/// How the tasks of a scope ended when it was closed.
#[must_use = "it names the tasks that did not stop"]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Those that did not end in time, and were aborted.
    pub aborted: Vec<TaskInfo>,
    /// Those of them that did not stop even then: they block a thread, and end with the process.
    pub stuck: Vec<TaskInfo>,
}

impl Closed {
    /// Says whether every task ended by itself.
    pub fn is_clean(&self) -> bool {
        self.aborted.is_empty()
    }

    /// Returns itself as the error where a task did not end by itself.
    ///
    /// # Errors
    /// This, which names the tasks.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_clean() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for Closed {}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("all tasks ended");
        }
        write!(f, "{} aborted: {}", self.aborted.len(), Listed(&self.aborted))?;
        if !self.stuck.is_empty() {
            write!(f, "; {} did not stop: {}", self.stuck.len(), Listed(&self.stuck))?;
        }
        Ok(())
    }
}

/// The first few of many tasks.
pub(super) struct Listed<'a>(pub(super) &'a [TaskInfo]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 16;
        for (at, task) in self.0.iter().take(SHOWN_MAX).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{task}")?;
        }
        match self.0.len().checked_sub(SHOWN_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}
