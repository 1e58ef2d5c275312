use std::time::Duration;

use super::{Error, Observation};
use crate::undo::Undo;

/// A way to do one fault to one target, and the way to take it back.
///
/// All methods block and are called from one thread, in the order `prepare`, `inject`, `uphold`…, `undo`, `verify`;
/// the last two are repeated until `verify` succeeds or their time is up, and are called also when `inject` failed,
/// for it may have failed halfway.
pub trait Injector: Send {
    /// Returns who injects: `process` or `signal`.
    fn kind(&self) -> &'static str;

    /// Returns the name of the process that it is done to.
    fn target(&self) -> &str;

    /// Finds out what will be acted on and returns what undoes it, for the undo log. Nothing is done yet.
    ///
    /// # Errors
    /// There is nothing to act on.
    fn prepare(&mut self) -> Result<Undo, Error>;

    /// Does it.
    ///
    /// # Errors
    /// It was not done, or not wholly.
    fn inject(&mut self) -> Result<(), Error>;

    /// Keeps it in force, observes its dose, and returns when it wants to be called again.
    ///
    /// # Errors
    /// It is not in force now; it is called again all the same.
    fn uphold(&mut self) -> Result<Duration, Error>;

    /// Returns what is known of it, without asking the target.
    fn observe(&self) -> Observation;

    /// Takes it back.
    ///
    /// # Errors
    /// It may not be taken back.
    fn undo(&mut self) -> Result<(), Error>;

    /// Looks whether it is taken back and returns how that was seen.
    ///
    /// # Errors
    /// It is still in force, or that cannot be seen.
    fn verify(&mut self) -> Result<String, Error>;
}
