//! Whether a result is a failure, and whether asking again can help.

use std::time::Duration;

/// The class of a result, on which breakers and retries decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The callee did what was asked, or rightly refused it: not a sign of ill health.
    Success,
    /// The callee failed and the same request may succeed later.
    Transient,
    /// The callee failed and repeating the same request cannot help.
    Permanent,
}

impl Class {
    /// Says whether the callee failed.
    pub fn is_failure(self) -> bool {
        self != Self::Success
    }

    /// Says whether repeating the request can help.
    pub fn is_retryable(self) -> bool {
        self == Self::Transient
    }
}

/// Tells the class of a response or an error.
pub trait Classify {
    /// Returns the class.
    fn classify(&self) -> Class;

    /// Returns how long the callee asks to be left alone before a repetition (`Retry-After`, gRPC pushback).
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl<R: Classify, E: Classify> Classify for Result<R, E> {
    fn classify(&self) -> Class {
        match self {
            Ok(response) => response.classify(),
            Err(error) => error.classify(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Ok(response) => response.retry_after(),
            Err(error) => error.retry_after(),
        }
    }
}

/// The answer of a handler of events: nothing went wrong.
impl Classify for () {
    fn classify(&self) -> Class {
        Class::Success
    }
}

impl Classify for crate::DeadlineExceeded {
    fn classify(&self) -> Class {
        Class::Permanent
    }
}

impl Classify for std::convert::Infallible {
    fn classify(&self) -> Class {
        match *self {}
    }
}

/// An HTTP response by its status; a gRPC response by the header `grpc-status`, where the callee sent one (a
/// response with trailers alone carries it there).
///
/// HTTP: 502, 503 and 504 and 429 are transient, other 5xx permanent, all else success. gRPC: `UNAVAILABLE`,
/// `RESOURCE_EXHAUSTED` and `ABORTED` are transient (see the guide to status codes,
/// <https://grpc.io/docs/guides/status-codes/>); `DEADLINE_EXCEEDED`, `UNKNOWN`, `INTERNAL`, `UNIMPLEMENTED` and
/// `DATA_LOSS` are permanent failures; the rest says that the caller is at fault, so it is a success of the
/// callee.
impl<B> Classify for http::Response<B> {
    fn classify(&self) -> Class {
        match self.headers().get("grpc-status").map(|status| status.as_bytes()) {
            Some(b"14" | b"8" | b"10") => Class::Transient,
            Some(b"2" | b"4" | b"12" | b"13" | b"15") => Class::Permanent,
            Some(_) => Class::Success,
            None => match self.status().as_u16() {
                429 | 502..=504 => Class::Transient,
                500.. => Class::Permanent,
                _ => Class::Success,
            },
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let header = |name: &str| self.headers().get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        header("grpc-retry-pushback-ms")
            .map(Duration::from_millis)
            .or_else(|| header("retry-after").map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(name: &str, value: &str, status: u16) -> http::Response<()> {
        http::Response::builder().status(status).header(name, value).body(()).expect("a valid response")
    }

    #[test]
    fn a_grpc_status_wins_over_the_http_status() {
        assert_eq!(response("grpc-status", "14", 200).classify(), Class::Transient);
        assert_eq!(response("grpc-status", "13", 200).classify(), Class::Permanent);
        assert_eq!(response("grpc-status", "5", 200).classify(), Class::Success);
    }

    #[test]
    fn a_http_status_and_its_pushback() {
        let busy = response("retry-after", "2", 503);
        assert_eq!(busy.classify(), Class::Transient);
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(2)));
        assert_eq!(response("x", "y", 500).classify(), Class::Permanent);
        assert_eq!(response("x", "y", 409).classify(), Class::Success);
    }
}
