//! Scopes: background tasks that have an owner.
//!
//! A task that is spawned bare can leak without a word, its panic vanishes in a handle that nobody awaits, and a
//! shutdown that waits for it hangs without a name. A [`Scope`] owns its tasks. Each has
//!
//! - a *name*, and the place that spawned it (`#[track_caller]`), which logs, errors and reports show;
//! - a *deadline* ([`Scope::spawn`]), or it is a service of the scope and ends with it
//!   ([`Scope::spawn_until_closed`]);
//! - a *cancel*: [`Task::cancel`] for one, [`Scope::token`] for all that look at it.
//!
//! A panic ends its task alone; it is counted by the task's name and logged, whether or not anybody awaits the task.
//! [`Scope::close`] refuses new tasks, asks those that run to end, aborts those that do not, and names those that
//! did not stop even then: they block a thread. When the last clone of a scope is dropped its tasks are aborted.
//!
//! # Leaks
//! At an interval the scope looks at its tasks. Two findings are warned of and shown as metrics ([`Snapshot`]): tasks
//! that are *old*, which have a deadline and are alive far beyond what any should need, and groups of tasks that are
//! *growing*: of those that one line spawned there are more and more that have outlived an interval. Growth is judged
//! over a window of inspections: the fewest in its younger half are more than the most in its older half, so that a
//! load that goes up and down is none.
//!
//! # Tasks that block
//! A task that computes, or waits by blocking, keeps a thread of the runtime from all others. Polls of tasks are timed by
//! the task's name ([`PollTimes`]); one that takes [`slow_poll`](ScopePolicy::slow_poll) or longer is counted and warned
//! of. A poll counts once it has ended.

mod closed;
mod error;
mod handle;
mod leaks;
mod policy;
mod polls;
mod snapshot;
mod supervised;
mod table;
mod task;
#[cfg(test)]
mod tests;

pub use closed::Closed;
pub use closed::TaskInfo;
pub use error::Refused;
pub use error::TaskError;
pub(crate) use error::panic_message;
pub use handle::Scope;
pub use leaks::Growing;
pub use leaks::Leaks;
pub use leaks::Old;
pub use policy::ScopePolicy;
pub use polls::PollTimes;
pub use snapshot::Snapshot;
pub use task::Task;
