use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// An error as the client sees it: a problem document (RFC 9457).
///
/// # Examples
/// ```
/// use orders::host::Problem;
///
/// let problem = Problem::new(422, "missing-field", "A field is missing").with("field", "customer.id");
/// assert_eq!(problem.status(), 422);
/// ```
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    retry_after_s: Option<u64>,
    members: Map<String, Value>,
}

impl Problem {
    /// Makes the problem `kind` (the last part of the URI `urn:problem:KIND`) with its title, which is the same
    /// for all problems of that kind. A status outside 400–599 becomes 500.
    pub fn new(status: u16, kind: &str, title: &str) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let members = Map::from_iter([
            ("type".to_owned(), Value::from(format!("urn:problem:{kind}"))),
            ("title".to_owned(), Value::from(title)),
            ("status".to_owned(), Value::from(status.as_u16())),
        ]);
        Self { status, retry_after_s: None, members }
    }

    /// Makes the problem that the service has not read its log yet.
    pub fn not_ready() -> Self {
        Self::new(503, "not-ready", "The service is starting").retry_after(1)
    }

    /// Makes the problem that more is asked than can be done.
    pub fn overloaded() -> Self {
        Self::new(503, "overloaded", "Too much is being asked at once").retry_after(1)
    }

    /// Adds what is particular to this occurrence.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.with("detail", detail.into())
    }

    /// Adds a member of one's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Asks the client to come back after `seconds`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Value::Object(self.members).to_string();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
