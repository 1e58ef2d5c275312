//! How many tasks a scope may have, and what counts as a leak.

use std::time::Duration;

/// The bounds of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopePolicy {
    /// The most tasks alive at a time; 1 or more.
    pub tasks_max: usize,
    /// How long aborted tasks have to stop when the scope is closed. A task stops at its next `await`; one that does
    /// not get there blocks a thread.
    pub abort_within: Duration,
    /// From which age on a task that has a deadline is old.
    pub old_after: Duration,
    /// How often leaks are looked for; 1 ms or more.
    pub inspect_every: Duration,
    /// Over how many inspections growth is judged; 2 to 64.
    pub growth_window: usize,
}

impl Default for ScopePolicy {
    /// 65,536 tasks, 1 s to stop, old after 10 minutes, looked at every 30 s, growth over 8 inspections.
    fn default() -> Self {
        Self {
            tasks_max: 1 << 16,
            abort_within: Duration::from_secs(1),
            old_after: Duration::from_secs(600),
            inspect_every: Duration::from_secs(30),
            growth_window: 8,
        }
    }
}

impl ScopePolicy {
    /// Cuts each field to its range.
    pub(super) fn cut(self) -> Self {
        Self {
            tasks_max: self.tasks_max.clamp(1, usize::MAX >> 2),
            inspect_every: self.inspect_every.max(Duration::from_millis(1)),
            growth_window: self.growth_window.clamp(2, 64),
            ..self
        }
    }
}
