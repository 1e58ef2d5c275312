//! What is known of something that is to be stored, while it is tried.

use steadfast_core::store::{Error, Outcome};
use tokio::time::Instant;

use super::error::Failure;

/// How far storing one thing has come.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) doing: &'static str,
    pub(super) until: Instant,
    /// Something was sent that may still be stored as long as no message stands behind this one.
    doubt: Option<u64>,
    /// Something was sent whose answer never came.
    pub(super) unanswered: bool,
    /// It stands already, unless the server has lost it.
    pub(super) seen: bool,
    /// All that was appended when it began is known.
    pub(super) fresh: bool,
    /// How often in a row nothing has changed.
    pub(super) failures: u32,
    /// Why it did not succeed the last time; none if others were sooner.
    pub(super) reason: Option<Failure>,
}

impl Attempts {
    /// Begins, unless waiting for the turn has taken all the time there is.
    pub(super) fn new(doing: &'static str, until: Instant) -> Result<Self, Error> {
        if Instant::now() >= until {
            return Err(Error::Overloaded);
        }
        let (doubt, reason) = (None, None);
        Ok(Self { doing, until, doubt, unanswered: false, seen: false, fresh: false, failures: 0, reason })
    }

    /// Takes note that all up to the message `end` is known.
    ///
    /// Behind a message of somebody else, what was sent for its place can no longer be stored. Of several that were sent
    /// together only the first would have this place, so the others are in doubt for longer than they need be.
    pub(super) fn saw(&mut self, end: u64) {
        self.fresh = true;
        self.doubt = self.doubt.filter(|doubt| end <= *doubt);
    }

    /// Takes note of why it was not stored behind the message `end`, where its last message was to follow.
    pub(super) fn missed(&mut self, failure: &Failure, end: u64) {
        if matches!(failure, Failure::Away(_)) {
            self.doubt = self.doubt.max(Some(end));
            self.unanswered = true;
        }
        self.reason = (!failure.is_late()).then(|| failure.clone());
    }

    /// Says whether what is known of the log is all that counts.
    pub(super) fn is_settled(&self) -> bool {
        self.fresh && self.doubt.is_none()
    }

    /// Says whether to wait before the next try.
    pub(super) fn must_wait(&self) -> bool {
        self.reason.is_some() || self.failures > 0
    }

    /// Returns the error with which it ends if its time is over.
    pub(super) fn is_over(&mut self) -> Option<Error> {
        if Instant::now() < self.until {
            return None;
        }
        Some(match self.reason.take() {
            Some(failure) => self.refused(failure),
            None => self.failed(Error::Overloaded),
        })
    }

    /// Makes of a failure what it means for what may have been sent.
    pub(super) fn refused(&self, failure: Failure) -> Error {
        self.failed(failure.into_error(self.doing, self.outcome()))
    }

    /// Makes of an error what it means for what may have been sent.
    pub(super) fn failed(&self, error: Error) -> Error {
        match (self.outcome(), error) {
            (Outcome::Unknown, Error::Io { doing, source, .. }) => {
                Error::Io { doing, source, outcome: Outcome::Unknown }
            }
            (Outcome::Unknown, error) => {
                Error::io(self.doing, std::io::Error::other(error.to_string()), Outcome::Unknown)
            }
            (Outcome::NotAppended, error) => error,
        }
    }

    fn outcome(&self) -> Outcome {
        if self.doubt.is_some() || self.seen { Outcome::Unknown } else { Outcome::NotAppended }
    }
}
