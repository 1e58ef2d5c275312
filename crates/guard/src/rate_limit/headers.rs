//! What HTTP says of a quota: `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers (the form
//! since version 08), and `Retry-After` of RFC 9110.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::{Decision, Error, Quota};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Writes the quota called `name`, and what is left of it, into `headers`, beside those that other layers wrote.
///
/// `name` is at best plain ASCII; other characters are left out, for a string of RFC 9651 has none.
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::{Quota, RateLimiter, rate_limit_headers};
///
/// let limiter = RateLimiter::new(Quota::per_minute(100));
/// let decision = limiter.try_acquire(40)?;
/// let mut headers = http::HeaderMap::new();
/// rate_limit_headers(&mut headers, "orders", limiter.quota(), decision.remaining(), decision.reset_after());
/// assert_eq!(headers["ratelimit-policy"], r#""orders";q=100;w=60"#);
/// assert_eq!(headers["ratelimit"], r#""orders";r=60;t=24"#);
/// # Ok::<(), steadfast_guard::rate_limit::Error>(())
/// ```
pub fn rate_limit_headers(
    headers: &mut HeaderMap,
    name: &str,
    quota: Quota,
    remaining: u32,
    reset_after: Duration,
) {
    let name: String = name.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    let (permits, window) = (quota.permits(), seconds(quota.window()));
    let mut append = |header: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(header, value);
        }
    };
    append(POLICY, format!("\"{name}\";q={permits};w={window}"));
    append(LIMIT, format!("\"{name}\";r={remaining};t={}", seconds(reset_after)));
}

pub(super) fn write(headers: &mut HeaderMap, name: &str, quota: Quota, decision: Decision) {
    rate_limit_headers(headers, name, quota, decision.remaining(), decision.reset_after());
}

/// Answers a request that was refused: 429, or `RESOURCE_EXHAUSTED` in the form of a gRPC response without messages.
pub(super) fn refusal<B: Default>(name: &str, error: Error, is_grpc: bool) -> Response<B> {
    let mut response = Response::new(B::default());
    if !is_grpc {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    }
    let headers = response.headers_mut();
    if let Error::Limited { quota, retry_after } = error {
        rate_limit_headers(headers, name, quota, 0, retry_after);
        if is_grpc {
            let pushback = retry_after.as_nanos().div_ceil(1_000_000);
            headers.insert("grpc-retry-pushback-ms", number(pushback));
        } else {
            headers.insert(RETRY_AFTER, number(u128::from(seconds(retry_after))));
        }
    }
    if is_grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static("8"));
        headers.insert("grpc-message", HeaderValue::from_static("rate limit exceeded"));
    }
    response
}

/// Says whether headers are those of a gRPC request.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Rounds up to whole seconds: whoever comes back then is not early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn number(value: u128) -> HeaderValue {
    HeaderValue::from(u64::try_from(value).unwrap_or(u64::MAX))
}
