//! Dead letters: messages that no attempt could deliver, and those that wait behind them.

mod error;
mod kept;
mod letter;
mod logged;
mod memory;
mod record;
mod stored;
#[cfg(test)]
mod tests;

use futures::future::BoxFuture;

pub use error::Error;
pub use letter::Fate;
pub use letter::Letter;
pub use letter::LetterId;
pub use letter::LetterQuery;
pub use logged::LoggedDeadLetters;
pub(super) use logged::Unchosen;
pub use memory::MemoryDeadLetters;
pub use stored::StoredDeadLetters;

/// Where messages are kept that could not be delivered, until somebody replays or removes them.
///
/// One place may serve many subscriptions; each is told apart by destination and subscriber.
///
/// **Invariants.** Letters of one subscription are listed in the order in which they were put. A message with a key
/// that is already kept for its subscription is not kept a second time; a letter whose removal has begun and is not
/// known to be done does not count as kept for that. The number of letters is bounded.
pub trait DeadLetters<T>: Send + Sync {
    /// Says whether what is put can be listed and taken again. Where it cannot, no key is ever parked, for nobody
    /// could replay it.
    fn keeps(&self) -> bool {
        true
    }

    /// Says whether it keeps letters of this subscription with `partition_key`, if it can tell at once; none if it
    /// cannot.
    ///
    /// Several dispatchers that share one place, such as the runs of one consumer, know by this of the keys that
    /// others have parked. It must not block. A place that cannot tell parks a key only where its letter was put.
    fn holds(&self, destination: &str, subscriber: &str, partition_key: &str) -> Option<bool> {
        let _ = (destination, subscriber, partition_key);
        None
    }

    /// Says that nobody has chosen this place.
    #[doc(hidden)]
    fn is_unchosen(&self) -> bool {
        false
    }

    /// Keeps `letter` and returns what it is known by from then on; its own id is not looked at. It returns once
    /// the letter is as durable as this place makes it.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Unavailable`]: it is not known to be kept, put it again later.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the letter is kept; putting it again tells, if its message has a
    /// key.
    fn put<'a>(&'a self, letter: &'a Letter<T>) -> BoxFuture<'a, Result<LetterId, Error>>;

    /// Returns the letters that `select` names, in order.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Damaged`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    fn list<'a>(&'a self, select: &'a LetterQuery) -> BoxFuture<'a, Result<Vec<Letter<T>>, Error>>;

    /// Replaces what is said of a letter that failed again; a letter that is not there is left alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the letter says so.
    fn amend<'a>(&'a self, id: LetterId, fate: &'a Fate) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes a letter and returns it; none if there is no such letter.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Damaged`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the letter is removed.
    fn take(&self, id: LetterId) -> BoxFuture<'_, Result<Option<Letter<T>>, Error>>;
}
