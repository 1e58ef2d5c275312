use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use steadfast_core::Event;
use steadfast_core::cloudevents::{self, Assembly, percent};

use super::answer::Refusal;

/// How a request carries events: section 3 of the HTTP binding, which tells by the media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Binary,
    Structured,
    Batched,
    /// Not a CloudEvent.
    Plain,
}

const PREFIX: &str = "ce-";
const FAMILY: &str = "application/cloudevents";

impl Mode {
    pub(super) fn of(headers: &HeaderMap, plain: bool) -> Result<Self, Refusal> {
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Refusal::MediaType("the body is encoded: send it as it is"));
        }
        let media = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        if media.get(..FAMILY.len()).is_some_and(|start| start.eq_ignore_ascii_case(FAMILY.as_bytes())) {
            return Self::of_family(&String::from_utf8_lossy(media).to_ascii_lowercase());
        }
        let has_attributes = headers.contains_key("ce-specversion")
            || headers.keys().any(|name| name.as_str().starts_with(PREFIX));
        match (has_attributes, plain) {
            (true, _) => Ok(Self::Binary),
            (false, true) => Ok(Self::Plain),
            (false, false) => Err(Refusal::MediaType(
                "not a CloudEvent: send headers `ce-…`, or `application/cloudevents+json`, or \
                 `application/cloudevents-batch+json`",
            )),
        }
    }

    fn of_family(media: &str) -> Result<Self, Refusal> {
        let mut parts = media.split(';').map(str::trim);
        let mode = match parts.next() {
            Some(cloudevents::JSON) => Self::Structured,
            Some(cloudevents::JSON_BATCH) => Self::Batched,
            _ => return Err(Refusal::MediaType("of the formats of CloudEvents only JSON is read")),
        };
        let other =
            |part: &str| part.strip_prefix("charset=").is_some_and(|set| set.trim_matches('"') != "utf-8");
        if parts.any(other) { Err(Refusal::MediaType("only UTF-8 is read")) } else { Ok(mode) }
    }
}

/// Reads an event in binary mode.
pub(super) fn binary(
    headers: &HeaderMap,
    body: Bytes,
    received: SystemTime,
) -> Result<Event, cloudevents::Error> {
    let mut assembly = Assembly::new();
    for (name, value) in headers {
        let name = match name.as_str().strip_prefix(PREFIX) {
            Some(name) => name,
            None if name == CONTENT_TYPE => "datacontenttype",
            None => continue,
        };
        let value = percent::decode(value.as_bytes()).ok_or_else(|| cloudevents::Error::Invalid {
            attribute: name.to_owned(),
            problem: "is not UTF-8 in percent-encoding",
        })?;
        assembly.set(name, &value)?;
    }
    assembly.finish(body, received)
}
