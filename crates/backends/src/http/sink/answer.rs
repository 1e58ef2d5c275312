use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use steadfast_core::store::Durability;
use steadfast_core::transport::Error;

use crate::http::{DURABILITY_HEADER, SYSTEM};

/// How much of an answer is read: enough for a problem document.
const BODY_MAX: usize = 16 << 10;
/// How much of it an error tells.
const DETAIL_MAX: usize = 200;

/// Why a request was not taken.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Error,
    /// It was too long, so that a part of it may be taken.
    pub(super) too_long: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, too_long: false }
    }
}

/// Reads an answer: the durability that it states, `assumed` if it states none.
pub(super) async fn read(response: Response<Incoming>, assumed: Durability) -> Result<Durability, Refused> {
    let (parts, body) = response.into_parts();
    // Reading to the end lets the connection be used again; what is longer costs the connection.
    let body = Limited::new(body, BODY_MAX).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if parts.status.is_success() {
        return Ok(stated(&parts.headers).unwrap_or(assumed));
    }
    let too_long = parts.status == StatusCode::PAYLOAD_TOO_LARGE;
    Err(Refused { error: refused(parts.status, &parts.headers, &body), too_long })
}

fn stated(headers: &HeaderMap) -> Option<Durability> {
    match headers.get(DURABILITY_HEADER)?.as_bytes() {
        b"accepted" => Some(Durability::Accepted),
        b"written" => Some(Durability::Written),
        b"durable" => Some(Durability::Durable),
        b"replicated" => Some(Durability::Replicated),
        _ => None,
    }
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Error {
    let reason = || match detail(body) {
        Some(detail) => format!("{status}: {detail}"),
        None => status.to_string(),
    };
    match status.as_u16() {
        429 => Error::Overloaded { system: SYSTEM, retry_after: retry_after(headers) },
        401 | 403 | 407 => Error::Denied { system: SYSTEM, reason: reason() },
        408 | 425 | 500.. => Error::Unavailable { system: SYSTEM, reason: reason() },
        300..=399 => {
            let problem =
                format!("the answer was {status}: redirects are not followed, set the URL that they lead to");
            Error::Configuration { system: SYSTEM, field: "url", problem }
        }
        _ => Error::Rejected { system: SYSTEM, reason: reason() },
    }
}

/// Reads `Retry-After` in seconds; as a date it is ignored, for clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn detail(body: &Bytes) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Problem {
        detail: Option<String>,
        title: Option<String>,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let text = problem.detail.or(problem.title)?;
    Some(text.chars().filter(|char| !char.is_control()).take(DETAIL_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_errors() {
        let headers: HeaderMap = [(RETRY_AFTER, "7".parse().expect("a value"))].into_iter().collect();
        let body = Bytes::from(r#"{"title":"T","detail":"mend\nit"}"#);
        let error = |status| refused(StatusCode::from_u16(status).expect("a status"), &headers, &body);
        assert!(
            matches!(error(429), Error::Overloaded { retry_after: Some(wait), .. } if wait.as_secs() == 7)
        );
        assert!(matches!(error(401), Error::Denied { .. }));
        assert!(matches!(error(403), Error::Denied { .. }));
        assert!(matches!(error(408), Error::Unavailable { .. }));
        assert!(matches!(error(500), Error::Unavailable { .. }));
        assert!(matches!(error(503), Error::Unavailable { .. }));
        assert!(matches!(error(301), Error::Configuration { .. }));
        assert!(matches!(error(404), Error::Rejected { .. }));
        assert!(error(413).to_string().ends_with("413 Payload Too Large: mendit"), "{}", error(413));
        let date = [(RETRY_AFTER, "Wed, 21 Oct 2015 07:28:00 GMT".parse().expect("a value"))];
        assert_eq!(retry_after(&date.into_iter().collect()), None);
    }
}
