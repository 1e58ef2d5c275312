//! What must be undone, whatever happens to whoever did it.
//!
//! Before anything is done to the host or to a target, what undoes it is written to the *undo log* of the run and
//! synced. Three hands can undo: the run itself; the *watchdog*, a process of its own that waits for the death of
//! `steadfast`; and, if that died too, the next `steadfast` on the host, or `steadfast recover`. All three do the
//! same by the same records, and each undoing is verified before it is marked as done.
//!
//! The order in a run: take the [`RunLock`], undo what dead runs left ([`recover::undo_all`]), create the
//! [`UndoLog`], start the [`Watchdog`], and only then start and inject anything. At the end: end the faults, stop the
//! system, [`UndoLog::end`], and dismiss the watchdog if nothing is left open.
//!
//! The undo log lies in the run's folder. The [`StateDir`] of the host names all logs of runs that have not ended.

mod error;
mod lock;
mod log;
mod perform;
mod record;
pub mod recover;
mod state;
mod watchdog;

pub use error::Error;
pub use lock::RunLock;
pub use log::Opened;
pub use log::UndoLog;
pub use record::Undo;
pub use state::STATE_DIR_VARIABLE;
pub use state::StateDir;
pub use watchdog::Watchdog;
pub use watchdog::WatchdogCommand;
pub use watchdog::watchdog_main;

pub(crate) use perform::no_lease_is_active;
