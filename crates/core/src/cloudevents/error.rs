use steadfast_base::{Class, Classify};

/// Why something is not an event as CloudEvents 1.0 wants it: whoever made it must change it. No message holds a
/// value, only names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An attribute that every event has is not there.
    #[error("attribute `{attribute}` is missing")]
    Missing {
        /// Its name.
        attribute: &'static str,
    },
    /// `specversion` is not `1.0`.
    #[error("attribute `specversion` is not `1.0`, the only version that is read")]
    UnsupportedVersion,
    /// An attribute has a value that it must not have.
    #[error("attribute `{attribute}` {problem}")]
    Invalid {
        /// Its name.
        attribute: String,
        /// What is wrong with its value, after the name.
        problem: &'static str,
    },
    /// A name is not made of lower-case letters `a` to `z` and digits, or is that of a context attribute and is used
    /// for an extension.
    #[error(
        "`{name}` cannot be the name of an attribute: use lower-case letters and digits, and none that is taken"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// An attribute occurs twice.
    #[error("attribute `{attribute}` occurs twice")]
    Twice {
        /// Its name.
        attribute: String,
    },
    /// The text is not JSON, or not an object (structured mode), or not an array of them (batched mode).
    #[error("not an event in JSON: {reason}")]
    Json {
        /// What is wrong, and where.
        reason: String,
    },
    /// A batch has more events than are allowed: send fewer at once.
    #[error("the batch has more than {max} events")]
    BatchTooLong {
        /// How many are allowed.
        max: usize,
    },
    /// One event of a batch is wrong.
    #[error("event {index} of the batch: {source}")]
    InBatch {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<Error>,
    },
}

impl Error {
    pub(crate) fn invalid(attribute: impl Into<String>, problem: &'static str) -> Self {
        Self::Invalid { attribute: attribute.into(), problem }
    }
}

impl Classify for Error {
    fn classify(&self) -> Class {
        Class::Permanent
    }
}
