use std::sync::Arc;

use steadfast_base::{Class, Classify};

use super::{Durability, Revision};

/// Why a store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The condition of an append does not hold: read the stream again, decide again, append again.
    #[error("{}", conflict(stream, *actual))]
    Conflict {
        /// The stream that is not as expected; empty when the condition was a filter.
        stream: Arc<str>,
        /// The revision of its newest event.
        actual: Option<Revision>,
    },
    /// The store cannot do this at all: ask for less, or use another store.
    #[error("this store cannot provide {what}")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// The request itself is wrong, such as an empty batch or a name that is too long.
    #[error("invalid request: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else writes to this store: stop them, or choose another place.
    #[error("`{path}` is locked by another writer; stop it or choose another folder")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// The queue of appends is full: wait and append again.
    #[error("the store is overloaded")]
    Overloaded,
    /// The medium, or a quota on it, is full: free space, then open the store again.
    #[error("no space left on the medium")]
    Full,
    /// Reading or writing failed. After a failed write or sync the store accepts no more appends until it is
    /// opened again, for the page cache is not to be trusted then.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: Arc<std::io::Error>,
        /// Whether the batch may have been appended all the same.
        outcome: Outcome,
    },
    /// What was stored is damaged: restore it from a copy. Nothing behind the damage is returned.
    #[error("damage in {place}: {problem}")]
    Damaged {
        /// Segment and offset, or table and row.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// An earlier write failed, so appends are refused: open the store again, which recovers what is durable.
    #[error("the store accepts no more appends since an earlier write failed; open it again")]
    Poisoned,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// Whether a failed append left anything behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The batch is not in the store and will not appear.
    NotAppended,
    /// The batch may or may not be in the store; appending it again, or reading, tells.
    Unknown,
}

impl Error {
    /// Makes the error for a failed read or write while `doing` something.
    pub fn io(doing: &'static str, source: std::io::Error, outcome: Outcome) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};

        if matches!(source.kind(), StorageFull | QuotaExceeded) && outcome == Outcome::NotAppended {
            return Self::Full;
        }
        Self::Io { doing, source: Arc::new(source), outcome }
    }

    /// Makes the error for a durability that a store cannot achieve.
    pub fn unsupported_durability(asked: Durability) -> Self {
        Self::Unsupported { what: format!("durability `{asked}`") }
    }

    /// Says whether the batch may have been appended although an error was returned.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Io { outcome, .. } => *outcome,
            _ => Outcome::NotAppended,
        }
    }
}

fn conflict(stream: &str, actual: Option<Revision>) -> String {
    match (stream, actual) {
        ("", _) => "conflict: an event that the decision rests on was appended since".to_owned(),
        (stream, None) => format!("conflict in stream `{stream}`: it has no event"),
        (stream, Some(actual)) => format!("conflict in stream `{stream}`: its newest revision is {actual}"),
    }
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Conflict { .. } | Self::Invalid { .. } => Class::Success,
            Self::Overloaded => Class::Transient,
            _ => Class::Permanent,
        }
    }
}
