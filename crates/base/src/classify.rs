//! Whether a result is a failure, and whether asking again can help.

use std::time::Duration;

use crate::Pushback;
use crate::pushback::pushback;

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

    /// Says whether the callee, by itself well, refused the call for want of room or quota. It did nothing of what was
    /// asked, and said so instead of letting the caller wait. Breakers do not hold that against it; repeating at once
    /// would.
    fn is_overload(&self) -> bool {
        false
    }

    /// Returns how long the callee says that it took to answer, without the way there and back.
    fn service_time(&self) -> Option<Duration> {
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

    fn is_overload(&self) -> bool {
        match self {
            Ok(response) => response.is_overload(),
            Err(error) => error.is_overload(),
        }
    }

    fn service_time(&self) -> Option<Duration> {
        match self {
            Ok(response) => response.service_time(),
            Err(error) => error.service_time(),
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
/// callee. What would be transient is permanent when the callee forbids a repetition, see [`pushback`].
///
/// Refused for load is 429 and `RESOURCE_EXHAUSTED`, and 503 and `UNAVAILABLE` where the answer says when to come back:
/// who is down cannot say that.
///
/// How long the callee took is read from `server-timing`, where the metric `total` has a duration, and from Envoy's
/// `x-envoy-upstream-service-time`.
impl<B> Classify for http::Response<B> {
    fn classify(&self) -> Class {
        let class = match self.headers().get("grpc-status").map(|status| status.as_bytes()) {
            Some(b"14" | b"8" | b"10") => Class::Transient,
            Some(b"2" | b"4" | b"12" | b"13" | b"15") => Class::Permanent,
            Some(_) => Class::Success,
            None => match self.status().as_u16() {
                429 | 502..=504 => Class::Transient,
                500.. => Class::Permanent,
                _ => Class::Success,
            },
        };
        // The headers are looked at only where it matters.
        if class == Class::Transient && pushback(header(self)) == Pushback::Never {
            Class::Permanent
        } else {
            class
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match pushback(header(self)) {
            Pushback::After(time) => Some(time),
            Pushback::Unstated | Pushback::Never => None,
        }
    }

    fn is_overload(&self) -> bool {
        match self.headers().get("grpc-status").map(|status| status.as_bytes()) {
            Some(b"8") => true,
            Some(b"14") => self.retry_after().is_some(),
            Some(_) => false,
            None => match self.status().as_u16() {
                429 => true,
                503 => self.retry_after().is_some(),
                _ => false,
            },
        }
    }

    fn service_time(&self) -> Option<Duration> {
        let text = |name: &str| std::str::from_utf8(header(self)(name)?).ok();
        text("server-timing").and_then(total_of_server_timing).or_else(|| {
            let ms = text("x-envoy-upstream-service-time")?.trim().parse().ok()?;
            Some(Duration::from_millis(ms))
        })
    }
}

fn header<'a, B>(response: &'a http::Response<B>) -> impl Fn(&str) -> Option<&'a [u8]> {
    move |name| response.headers().get(name).map(|value| value.as_bytes())
}

/// Reads `total;dur=1.5` among the metrics of a header `Server-Timing` (<https://www.w3.org/TR/server-timing/>):
/// milliseconds.
fn total_of_server_timing(text: &str) -> Option<Duration> {
    let total = text.split(',').find_map(|metric| metric.trim().strip_prefix("total;"))?;
    let ms = total.split(';').find_map(|parameter| parameter.trim().strip_prefix("dur="))?;
    Duration::try_from_secs_f64(ms.trim().parse::<f64>().ok()? / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_full_says_so() {
        let answer = |status: u16, headers: &[(&str, &str)]| {
            let mut answer = http::Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            answer.body(()).expect("a response").is_overload()
        };
        assert!(answer(429, &[]));
        assert!(answer(503, &[("retry-after", "1")]));
        assert!(answer(200, &[("grpc-status", "8")]));
        assert!(answer(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "50")]));
        // Who is down, or broken, says nothing of the kind.
        assert!(!answer(503, &[]));
        assert!(!answer(502, &[("retry-after", "1")]));
        assert!(!answer(200, &[("grpc-status", "14")]));
        assert!(!answer(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")]));
        assert!(!answer(200, &[("grpc-status", "13"), ("grpc-retry-pushback-ms", "50")]));
        assert!(!answer(200, &[]));
    }

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
        let never = response("grpc-retry-pushback-ms", "-1", 503);
        assert_eq!((never.classify(), never.retry_after()), (Class::Permanent, None));
        assert_eq!(response("grpc-retry-pushback-ms", "-1", 200).classify(), Class::Success);
        assert_eq!(response("x", "y", 500).classify(), Class::Permanent);
        assert_eq!(response("x", "y", 409).classify(), Class::Success);
    }

    #[test]
    fn what_the_callee_says_it_took() {
        let took = |name: &str, value: &str| response(name, value, 200).service_time();
        let timing = "server-timing";
        assert_eq!(took(timing, "total;dur=1.5"), Some(Duration::from_micros(1500)));
        assert_eq!(took(timing, r#"db;dur=53, total;desc="all";dur=70"#), Some(Duration::from_millis(70)));
        assert_eq!(took("x-envoy-upstream-service-time", "12"), Some(Duration::from_millis(12)));
        for bad in ["", "total", "total;dur=", "total;dur=-1", "total;dur=NaN", "db;dur=5"] {
            assert_eq!(took(timing, bad), None, "{bad}");
        }
    }
}
