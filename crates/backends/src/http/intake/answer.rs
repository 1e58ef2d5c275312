use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use steadfast_core::cloudevents;
use steadfast_core::store::Durability;
use steadfast_core::transport::Error;

use crate::http::signature::{Refused, Taken};

/// The header of an answer that says which durability was achieved: `accepted`, `written`, `durable` or `replicated`.
pub const DURABILITY_HEADER: &str = "steadfast-durability";

const DURABILITY: HeaderName = HeaderName::from_static(DURABILITY_HEADER);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    Method,
    MediaType(&'static str),
    NotAnEvent(cloudevents::Error),
    TooLong(String),
    Signature(Refused),
    /// The body ended too early or was not well-formed.
    Broken,
    Slow,
    Busy,
    BeingTaken,
    Closing,
    Sink(Error),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAnEvent(cloudevents::Error::BatchTooLong { .. }) | Self::TooLong(_) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::NotAnEvent(_) | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::BeingTaken | Self::Sink(Error::Overloaded { .. }) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Closing | Self::Sink(Error::Closed | Error::Unavailable { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Sink(Error::Rejected { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Sink(Error::DeadlineExceeded { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::Sink(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Says what is wrong to whoever posted; what is wrong with us is for the log only.
    fn detail(&self) -> String {
        match self {
            Self::Method => "post events".to_owned(),
            Self::MediaType(problem) => (*problem).to_owned(),
            Self::NotAnEvent(error) => error.to_string(),
            Self::TooLong(problem) => problem.clone(),
            Self::Signature(Refused::Missing) => "a header of the signature is missing".to_owned(),
            Self::Signature(Refused::Malformed) => "a header of the signature is malformed".to_owned(),
            Self::Signature(Refused::OutsideTolerance) => {
                "the time of the signature is too far from the present: correct the clock, sign again"
                    .to_owned()
            }
            Self::Signature(Refused::Wrong) => "the signature is wrong".to_owned(),
            Self::Broken => "the body did not arrive whole".to_owned(),
            Self::Slow => "the body did not arrive in time".to_owned(),
            Self::Busy | Self::Sink(Error::Overloaded { .. }) => {
                "no more is taken for now: post again later".to_owned()
            }
            Self::BeingTaken => "the same request is being taken: post again later".to_owned(),
            Self::Closing => "this endpoint is closing: post again later".to_owned(),
            Self::Sink(Error::Rejected { reason, .. }) => reason.clone(),
            Self::Sink(Error::DeadlineExceeded { .. }) => {
                "whether the events are taken is unknown: post them again".to_owned()
            }
            Self::Sink(Error::Closed | Error::Unavailable { .. }) => {
                "events cannot be kept for now: post them again later".to_owned()
            }
            Self::Sink(_) => "events cannot be kept here".to_owned(),
        }
    }

    /// Makes the problem document; `retry_after` is for refusals that know no better.
    pub(super) fn answer(&self, retry_after: Duration) -> Response {
        let status = self.status();
        let problem = serde_json::json!({
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM);
        if matches!(status.as_u16(), 429 | 503 | 504) {
            let wait = match self {
                Self::Sink(Error::Overloaded { retry_after: Some(wait), .. }) => *wait,
                _ => retry_after,
            };
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::Method) {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        // What is left of a body that nobody reads would be taken for the next request.
        if matches!(self, Self::Slow | Self::Closing | Self::TooLong(_)) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Makes the answer to a request that was taken.
pub(super) fn taken(Taken { events, durability }: Taken) -> Response {
    let (name, one) = match durability {
        Durability::Accepted => ("accepted", r#"{"events":1,"durability":"accepted"}"#),
        Durability::Written => ("written", r#"{"events":1,"durability":"written"}"#),
        Durability::Durable => ("durable", r#"{"events":1,"durability":"durable"}"#),
        Durability::Replicated => ("replicated", r#"{"events":1,"durability":"replicated"}"#),
    };
    let body = match events {
        1 => Body::from(one),
        _ => Body::from(format!(r#"{{"events":{events},"durability":"{name}"}}"#)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(DURABILITY, HeaderValue::from_static(name));
    response
}
