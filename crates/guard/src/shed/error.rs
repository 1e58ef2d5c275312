//! Why a call is shed.

use steadfast_base::{Class, Classify};

/// The reason for which a call was shed. Nothing was sent. Repeating can help once the load has gone down; when it
/// happens for long, the callee needs more capacity, or the callers have to ask for less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The queue is full, or a call that matters more took the place of this one.
    #[error("overloaded, the queue is full")]
    Full,
    /// The call waited for room in vain.
    #[error("overloaded, no room in time")]
    Waited,
}

impl Classify for Error {
    fn classify(&self) -> Class {
        Class::Transient
    }
}
