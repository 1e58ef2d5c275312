use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::base::{Class, Classify, Context, ContextMut, Deadline, TraceContext};
use steadfast::guard::Rejection;
use tonic::{Code, Status};

use crate::proto::{inventory, payment};

/// What is asked of a dependency.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Of inventory: set stock aside.
    Reserve(inventory::ReserveRequest),
    /// Of inventory: put it back.
    Release(inventory::ReleaseRequest),
    /// Of payment: take money.
    Charge(payment::ChargeRequest),
    /// Of payment: give it back.
    Void(payment::VoidRequest),
}

/// Whether anything of a call has left for the dependency; its clones and those of the call share it.
///
/// What a guard refused has not, however often it was repeated, and so the dependency need not be asked to undo it.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// Says whether it has.
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Notes that it is about to.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// One call, with what the guards must know of it. Repetitions carry the same key.
#[derive(Debug, Clone)]
pub struct Call {
    ask: Arc<Ask>,
    deadline: Option<Deadline>,
    trace: Option<TraceContext>,
    sent: Sent,
}

impl Call {
    /// Makes a call that has until `deadline`.
    pub fn new(ask: Arc<Ask>, deadline: Option<Deadline>, trace: Option<TraceContext>) -> Self {
        Self { ask, deadline, trace, sent: Sent::default() }
    }

    /// Has `sent` note it when the call is sent.
    #[must_use]
    pub fn noted_in(self, sent: &Sent) -> Self {
        Self { sent: sent.clone(), ..self }
    }

    /// Returns whether it was sent.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Returns what is asked.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }
}

impl Context for Call {
    fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    fn key(&self) -> Option<&str> {
        Some(match &*self.ask {
            Ask::Reserve(request) => &request.key,
            Ask::Release(request) => &request.key,
            Ask::Charge(request) => &request.key,
            Ask::Void(request) => &request.key,
        })
    }

    fn operation(&self) -> &str {
        match &*self.ask {
            Ask::Reserve(_) => "inventory.v1.Inventory/Reserve",
            Ask::Release(_) => "inventory.v1.Inventory/Release",
            Ask::Charge(_) => "payment.v1.Payment/Charge",
            Ask::Void(_) => "payment.v1.Payment/Void",
        }
    }
}

impl ContextMut for Call {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }
}

/// The dependency did what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// How long it says that it took.
    pub service_time: Option<Duration>,
}

impl Classify for Done {
    fn classify(&self) -> Class {
        Class::Success
    }

    fn service_time(&self) -> Option<Duration> {
        self.service_time
    }
}

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The dependency, or the way to it, said so.
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Arc<Status>),
    /// A guard ended it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(Arc::new(status))
    }
}

impl CallError {
    /// Says whether the dependency refused for good, though it is well.
    pub fn is_refusal(&self) -> bool {
        self.classify() == Class::Success
    }

    /// Says whether the call ended for want of time.
    pub fn is_out_of_time(&self) -> bool {
        match self {
            Self::Rejected(rejection) => matches!(rejection, Rejection::DeadlineExceeded),
            Self::Status(status) => status.code() == Code::DeadlineExceeded,
        }
    }
}

/// A dependency that cannot be reached, that is overwhelmed or that broke off a call may be asked again, for each
/// call is idempotent by its key. A wrong or impossible request is a success of the dependency.
impl Classify for CallError {
    fn classify(&self) -> Class {
        match self {
            Self::Rejected(rejection) => rejection.classify(),
            Self::Status(status) => match status.code() {
                Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
                    Class::Transient
                }
                // What tonic says of a connection that broke within a call.
                Code::Unknown | Code::Internal => Class::Transient,
                Code::DeadlineExceeded | Code::Unimplemented | Code::DataLoss => Class::Permanent,
                _ => Class::Success,
            },
        }
    }

    fn is_overload(&self) -> bool {
        match self {
            Self::Rejected(rejection) => rejection.is_overload(),
            Self::Status(status) => match status.code() {
                Code::ResourceExhausted => true,
                Code::Unavailable => self.retry_after().is_some(),
                _ => false,
            },
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected(rejection) => rejection.retry_after(),
            Self::Status(status) => {
                let pushback = status.metadata().get("grpc-retry-pushback-ms")?.to_str().ok()?;
                pushback.parse().ok().map(Duration::from_millis)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_asked_again() {
        let class = |code: Code| CallError::from(Status::new(code, "")).classify();
        assert_eq!(class(Code::Unavailable), Class::Transient);
        assert_eq!(class(Code::FailedPrecondition), Class::Success);
        assert_eq!(class(Code::Unimplemented), Class::Permanent);
        assert!(CallError::from(Status::failed_precondition("too little")).is_refusal());
        assert!(CallError::from(Rejection::DeadlineExceeded).is_out_of_time());
        assert!(!CallError::from(Status::unavailable("")).is_out_of_time());
    }
}
