use std::time::Duration;

use http::StatusCode;

use crate::GrpcStatus;

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call is handled as if there were no fault.
    Pass,
    /// The call is handled, later.
    Delay(Duration),
    /// The call is answered at once and the service never sees it.
    Fail(Failure),
    /// The call is answered later and the service never sees it.
    DelayThenFail(Duration, Failure),
}

/// What a call is answered instead of by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An HTTP response with this status and an empty body.
    Http(StatusCode),
    /// A gRPC response of headers alone with this status.
    Grpc(GrpcStatus),
}

impl Verdict {
    /// Creates the verdict of a delay, which may be zero, and perhaps a failure.
    pub fn new(delay: Duration, failure: Option<Failure>) -> Self {
        match (delay.is_zero(), failure) {
            (true, None) => Self::Pass,
            (false, None) => Self::Delay(delay),
            (true, Some(failure)) => Self::Fail(failure),
            (false, Some(failure)) => Self::DelayThenFail(delay, failure),
        }
    }

    /// Returns the delay, zero when there is none.
    pub fn delay(self) -> Duration {
        match self {
            Self::Pass | Self::Fail(_) => Duration::ZERO,
            Self::Delay(delay) | Self::DelayThenFail(delay, _) => delay,
        }
    }

    /// Returns the failure, if the service is not to see the call.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Self::Pass | Self::Delay(_) => None,
            Self::Fail(failure) | Self::DelayThenFail(_, failure) => Some(failure),
        }
    }
}
