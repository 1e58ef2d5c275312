//! How a rejection looks over the wire.

use http::StatusCode;

use crate::Rejection;

impl Rejection {
    /// Returns the name of the guard that ended the call, as a [configuration](crate::stack::OutgoingSettings) has it;
    /// `rateLimit` for one by key, too.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::Rejection;
    ///
    /// assert_eq!(Rejection::DeadlineExceeded.guard(), "deadline");
    /// ```
    pub fn guard(&self) -> &'static str {
        match self {
            Self::DeadlineExceeded => "deadline",
            Self::AttemptTimedOut { .. } => "retry",
            Self::TimedOut { .. } => "timeout",
            Self::BreakerOpen { .. } => "breaker",
            Self::RateLimited(_) => "rateLimit",
            Self::Bulkhead(_) => "bulkhead",
            Self::Shed(_) => "shed",
        }
    }

    /// Returns the HTTP status that tells a caller of this rejection: 504 when time ran out, 429 when it calls too
    /// often, 503 otherwise.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::Rejection;
    ///
    /// assert_eq!(Rejection::DeadlineExceeded.http_status(), 504);
    /// assert_eq!(Rejection::DeadlineExceeded.grpc_code(), 4);
    /// ```
    pub fn http_status(&self) -> StatusCode {
        match self {
            Self::DeadlineExceeded | Self::AttemptTimedOut { .. } | Self::TimedOut { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::BreakerOpen { .. } | Self::Bulkhead(_) | Self::Shed(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the number of the gRPC status that tells a caller of this rejection: `DEADLINE_EXCEEDED` (4) when time
    /// ran out, `RESOURCE_EXHAUSTED` (8) when it calls too often, `UNAVAILABLE` (14) otherwise
    /// (<https://grpc.io/docs/guides/status-codes/>).
    pub fn grpc_code(&self) -> i32 {
        match self {
            Self::DeadlineExceeded | Self::AttemptTimedOut { .. } | Self::TimedOut { .. } => 4,
            Self::RateLimited(_) => 8,
            Self::BreakerOpen { .. } | Self::Bulkhead(_) | Self::Shed(_) => 14,
        }
    }
}
