//! What comes in: every part of it is bounded, and refused with the reason.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use steadfast::base::{Context, Deadline};
use steadfast::problem::Problem;
use uuid::Uuid;

use crate::host::{Key, problem};
use crate::orders::log::{Cause, Fingerprint};

/// The time kept back of the caller's: for our answer's way, and for a machine that is busy.
const OVERHEAD: Duration = Duration::from_millis(60);

/// A command as it came in.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) cause: Cause,
    pub(super) body: Bytes,
    /// Until when the answer must leave.
    pub(super) deadline: Deadline,
    /// Whether the client gave a key of its own.
    pub(super) has_key: bool,
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let deadline = answer_by(&request)?;
        let key = key(request.headers())?;
        let has_key = key.is_some();
        let key = key.unwrap_or_else(|| {
            Key::try_from(Uuid::now_v7().to_string()).expect("a UUID has 36 visible characters")
        });
        let (path, trace) = (request.uri().path().to_owned(), request.trace());
        content_type(request.headers())?;
        let body = tokio::time::timeout_at(deadline.instant(), Bytes::from_request(request, state));
        let body = body.await.map_err(|_| out_of_time())?.map_err(|rejection| unreadable(&rejection))?;
        let fingerprint = Fingerprint::of(&path, &body);
        Ok(Self { cause: Cause { key, fingerprint, trace }, body, deadline, has_key })
    }
}

/// Returns until when the answer to a request must leave.
pub(super) fn answer_by(request: &Request) -> Result<Deadline, Problem> {
    let deadline = request.deadline().unwrap_or_else(|| Deadline::within(Duration::from_secs(3)));
    deadline.derive(OVERHEAD).map_err(|_| out_of_time())
}

pub(super) fn out_of_time() -> Problem {
    let detail = "the outcome may be unknown: repeat the request with the same key";
    problem(StatusCode::GATEWAY_TIMEOUT, "out-of-time", "the caller's time was up").with_detail(detail)
}

fn key(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let wrong = |detail: String| {
        problem(StatusCode::BAD_REQUEST, "wrong-key", "the idempotency key is wrong").with_detail(detail)
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(wrong("send the header `Idempotency-Key` once".to_owned())),
        (Some(value), None) => {
            let text = value.to_str().unwrap_or_default().to_owned();
            Key::try_from(text).map(Some).map_err(|error| wrong(error.to_string()))
        }
    }
}

/// A body is JSON or, where none is needed, absent.
fn content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(unsupported())
}

pub(super) fn unsupported() -> Problem {
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "the body must be application/json")
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large")
        }
        _ => problem(StatusCode::BAD_REQUEST, "unreadable", "the body broke off"),
    }
}
