use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use steadfast_core::Event;
use steadfast_core::cloudevents::{self, percent};
use steadfast_core::transport::Error;

use super::{Mode, SinkConfig};
use crate::http::SYSTEM;
use crate::http::signature::Keys;

/// What is the same for all requests.
pub(super) struct Form {
    pub(super) uri: Uri,
    mode: Mode,
    authorization: Option<HeaderValue>,
    keys: Option<Keys>,
}

impl Form {
    pub(super) fn new(config: &SinkConfig) -> Result<Self, Error> {
        let wrong = |field, problem: &str| Error::Configuration {
            system: SYSTEM,
            field,
            problem: problem.to_owned(),
        };
        let uri: Uri = config.url.parse().map_err(|_| wrong("url", "is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong("url", "is not of the form `http://HOST/PATH` or `https://HOST/PATH`"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("url", "holds credentials: set `authorization` instead"));
        }
        if !(1..=1024).contains(&config.requests_max) {
            return Err(wrong("requestsMax", "choose 1 to 1024"));
        }
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| wrong("authorization", "holds what a header must not hold"))?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(Self {
            uri,
            mode: config.mode,
            authorization: config.authorization.as_ref().map(|text| secret(text.reveal())).transpose()?,
            keys: config.signature.as_ref().map(Keys::new).transpose()?,
        })
    }

    /// Makes the request for `events`: one, or several in batched mode.
    pub(super) fn request(&self, events: &[Event], now: SystemTime) -> Result<Request<Full<Bytes>>, Error> {
        let rejected =
            |error: cloudevents::Error| Error::Rejected { system: SYSTEM, reason: error.to_string() };
        let mut headers = HeaderMap::new();
        let event = &events[0];
        let body = match self.mode {
            Mode::Binary => {
                binary(event, &mut headers).map_err(rejected)?;
                event.data().clone()
            }
            Mode::Structured => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(cloudevents::JSON));
                cloudevents::to_json(event).map_err(rejected)?.into()
            }
            Mode::Batched => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(cloudevents::JSON_BATCH));
                cloudevents::to_json_batch(events).map_err(rejected)?.into()
            }
        };
        if let Some(keys) = &self.keys {
            keys.sign(&mut headers, &event.id().to_string(), &body, now);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn binary(event: &Event, headers: &mut HeaderMap) -> Result<(), cloudevents::Error> {
    for (name, value) in cloudevents::attributes(event)? {
        let invalid = |problem| cloudevents::Error::Invalid { attribute: name.to_owned(), problem };
        if name == "datacontenttype" {
            // The media type stands there as it is, not percent-encoded.
            let value =
                HeaderValue::from_str(&value).map_err(|_| invalid("holds what a header must not hold"))?;
            headers.insert(CONTENT_TYPE, value);
            continue;
        }
        let header =
            HeaderName::from_bytes(format!("ce-{name}").as_bytes()).map_err(|_| invalid("has no header"))?;
        let value = HeaderValue::from_str(&percent::encode(&value)).map_err(|_| invalid("has no header"))?;
        headers.insert(header, value);
    }
    Ok(())
}
