use std::sync::Arc;
use std::time::SystemTime;

use crate::delivery::{Cause, Message};

/// What a letter is known by in the place that keeps it; a later letter has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LetterId(pub u64);

/// A message that is kept because it could not be delivered.
#[derive(Debug, Clone)]
pub struct Letter<T> {
    /// What it is known by.
    pub id: LetterId,
    /// The topic, or the place that the message came from.
    pub destination: Arc<str>,
    /// Whom it could not be delivered to.
    pub subscriber: Arc<str>,
    /// The message.
    pub message: Message<T>,
    /// Why it is here.
    pub fate: Fate,
}

/// Why a message is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// No attempt could deliver it.
    Dead {
        /// What the last attempt failed with.
        cause: Cause,
        /// How many attempts there were.
        attempts: u32,
        /// When the first of them failed, as far as this process knows.
        first_failed: SystemTime,
    },
    /// An earlier message with the same partition key is dead.
    Parked,
}

/// Which letters are meant.
#[derive(Debug, Clone, Default)]
pub struct LetterQuery {
    /// Only those of this destination; none means of any.
    pub destination: Option<Arc<str>>,
    /// Only those of this subscriber; none means of any.
    pub subscriber: Option<Arc<str>>,
    /// Only those with this partition key; none means with any or none.
    pub partition_key: Option<Arc<str>>,
    /// Only those after this one.
    pub after: LetterId,
    /// At most this many; 0 means no limit.
    pub limit: usize,
}

impl LetterQuery {
    /// Says whether `letter` is meant, the limit aside.
    pub fn matches<T>(&self, letter: &Letter<T>) -> bool {
        let is = |wanted: &Option<Arc<str>>, is: Option<&Arc<str>>| {
            wanted.as_ref().is_none_or(|wanted| is == Some(wanted))
        };
        letter.id > self.after
            && is(&self.destination, Some(&letter.destination))
            && is(&self.subscriber, Some(&letter.subscriber))
            && is(&self.partition_key, letter.message.about().partition_key.as_ref())
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dead { cause, attempts, .. } => write!(f, "dead after {attempts} attempts: {cause}"),
            Self::Parked => f.write_str("parked behind a dead letter of its key"),
        }
    }
}
