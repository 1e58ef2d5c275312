//! Faults done to the processes of a system, each with its undo.
//!
//! An [`Injector`] says how a fault is done to its target and how it is taken back: both stand in one type, as a
//! pair. [`Active`] carries it out on a thread of its own, so that neither a stalled runtime nor a slow target
//! delays the end of a fault: it writes what undoes the fault to the undo log, injects, keeps the fault in force
//! until its time is up, undoes, verifies, and writes that down.

mod active;
mod dose;
mod error;
mod injector;
mod kill;
mod lease;
mod pause;

pub use active::Active;
pub use active::Outcome;
pub use dose::Dose;
pub use dose::Observation;
pub use dose::Span;
pub use error::Error;
pub use injector::Injector;
pub use kill::Kill;
pub use kill::KillConfig;
pub use lease::LeasedFault;
pub use pause::Pause;
