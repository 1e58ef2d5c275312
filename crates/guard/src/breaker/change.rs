//! What is told when a breaker changes.

use std::fmt;
use std::sync::Arc;

use super::Phase;

/// A change of a breaker's phase, as [`Breaker::subscribe`](super::Breaker::subscribe) tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The name of the breaker.
    pub breaker: Arc<str>,
    /// The phase that it was in.
    pub from: Phase,
    /// The phase that it is in now.
    pub to: Phase,
    /// Why.
    pub cause: Cause,
}

/// Why a breaker changed its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// So many calls failed one after the other.
    ConsecutiveFailures {
        /// How many.
        failures: u32,
    },
    /// Too large a share of the calls in the window failed.
    FailureRatio {
        /// How many failed.
        failures: u64,
        /// Of how many.
        calls: u64,
    },
    /// Too large a share of the calls was slow.
    SlowRatio {
        /// How many were slow, those under way among them.
        slow: u64,
        /// How many of the slow ones are still under way.
        under_way: u64,
        /// Of how many.
        calls: u64,
    },
    /// It had been open for its time.
    TimePassed,
    /// A probe failed or was slow.
    ProbeFailed,
    /// Probes took longer than they may.
    ProbesHung,
    /// All probes succeeded.
    ProbesSucceeded,
    /// Someone opened or closed it by hand.
    ByHand,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsecutiveFailures { failures } => write!(f, "{failures} failures in a row"),
            Self::FailureRatio { failures, calls } => write!(f, "{failures} of {calls} calls failed"),
            Self::SlowRatio { slow, under_way, calls } => {
                write!(f, "{slow} of {calls} calls were slow, {under_way} of them are under way")
            }
            Self::TimePassed => f.write_str("the time to stay open has passed"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::ProbesHung => f.write_str("probes took too long"),
            Self::ProbesSucceeded => f.write_str("all probes succeeded"),
            Self::ByHand => f.write_str("by hand"),
        }
    }
}
