use std::any::Any;
use std::fmt::{self, Display};
use std::time::Duration;

use steadfast_base::Classify;

/// What an attempt failed with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The handler returned an error.
    Failed {
        /// What the error says.
        reason: String,
    },
    /// The handler panicked.
    Panicked {
        /// What the panic says.
        reason: String,
    },
    /// The handler took longer than one attempt may take.
    TimedOut,
    /// The handler was dropped while it worked.
    Dropped,
    /// The process that handled it, again and again, died or did not say what became of it.
    Lost,
    /// A dead letter that was replayed cannot be brought into today's form.
    NotUpcast {
        /// What is missing.
        reason: String,
    },
    /// There was no more room to park it behind the dead letter of its partition key.
    ParkingFull,
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { reason } => f.write_str(reason),
            Self::Panicked { reason } => write!(f, "the handler panicked: {reason}"),
            Self::TimedOut => f.write_str("the handler took too long"),
            Self::Dropped => f.write_str("the handler was dropped"),
            Self::Lost => f.write_str("whoever handled it did not come back"),
            Self::NotUpcast { reason } => write!(f, "cannot be upcast: {reason}"),
            Self::ParkingFull => f.write_str("no room behind the dead letter of its key"),
        }
    }
}

/// Why an attempt failed, and whether repeating it can help.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) cause: Cause,
    pub(super) retryable: bool,
    pub(super) retry_after: Duration,
}

impl Failed {
    pub(super) fn transient(cause: Cause) -> Self {
        Self { cause, retryable: true, retry_after: Duration::ZERO }
    }

    pub(super) fn of_error(error: &(impl Classify + Display)) -> Self {
        Self {
            cause: Cause::Failed { reason: error.to_string() },
            retryable: error.classify().is_retryable(),
            retry_after: error.retry_after().unwrap_or_default(),
        }
    }

    #[allow(clippy::needless_pass_by_value, reason = "a panic is caught as a box")]
    pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::transient(Cause::Panicked { reason: text.unwrap_or("no message").to_owned() })
    }
}
