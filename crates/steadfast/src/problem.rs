//! Problem documents: what went wrong, for people and for programs, as RFC 9457 has it.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// A problem document (RFC 9457), the body of an answer that refuses or fails.
///
/// # Examples
/// ```
/// use axum::http::StatusCode;
/// use steadfast::problem::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT)
///     .with_type("https://example.org/problems/illegal-transition")
///     .with_title("illegal transition")
///     .with_detail("a shipped order cannot be cancelled")
///     .with("state", "shipped");
/// assert_eq!(
///     serde_json::to_value(&problem)?,
///     serde_json::json!({
///         "type": "https://example.org/problems/illegal-transition",
///         "title": "illegal transition",
///         "status": 409,
///         "detail": "a shipped order cannot be cancelled",
///         "state": "shipped",
///     })
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    title: Cow<'static, str>,
    #[serde(serialize_with = "status_code")]
    status: StatusCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<Cow<'static, str>>,
    #[serde(flatten)]
    members: Map<String, Value>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    /// The members that the RFC defines, which no other member may replace.
    const RESERVED: [&str; 5] = ["type", "title", "status", "detail", "instance"];

    /// Creates a document that says no more than the status does: its type is `about:blank`, its title the status's
    /// reason.
    pub fn new(status: StatusCode) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("unknown status").into(),
            status,
            detail: None,
            instance: None,
            members: Map::new(),
            retry_after: None,
        }
    }

    /// Sets the URI that names the type of the problem.
    #[must_use]
    pub fn with_type(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Sets the title, which is the same for all problems of one type.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets what went wrong this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the URI that names this occurrence.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<Cow<'static, str>>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Adds a member of the type's own; one that the RFC defines is left as it is.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !Self::RESERVED.contains(&name) {
            self.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Sets the header `Retry-After`, in whole seconds, rounded up.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("strings and JSON values can be written");
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A guard's refusal: its status, `Retry-After` when it is known when to come back, and the guard as the member `guard`.
#[cfg(feature = "guard")]
impl From<steadfast_guard::Rejection> for Problem {
    fn from(rejection: steadfast_guard::Rejection) -> Self {
        use steadfast_base::Classify;
        let problem = Self::new(rejection.http_status()).with_detail(rejection.to_string());
        let problem = problem.with("guard", rejection.guard());
        match rejection.retry_after() {
            Some(wait) => problem.with_retry_after(wait),
            None => problem,
        }
    }
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn status_code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn is_a_response_of_its_own_media_type() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE)
            .with_retry_after(Duration::from_millis(1200))
            .with("status", 200)
            .with("queue", 7);
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Service Unavailable", "status": 503, "queue": 7,
        });
        assert_eq!(body, expected);
    }

    #[cfg(feature = "guard")]
    #[test]
    fn a_rejection_becomes_a_problem() {
        use steadfast_guard::Rejection;
        let open = Rejection::BreakerOpen { retry_after: Duration::from_secs(3) };
        let response = Problem::from(open).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &HeaderValue::from(3))
        );
        assert_eq!(Problem::from(Rejection::DeadlineExceeded).status(), StatusCode::GATEWAY_TIMEOUT);
    }
}
