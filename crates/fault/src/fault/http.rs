use ::http::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use steadfast_base::units::{HumanDuration, Percentage};

use super::{Draw, InvalidFault, status, timing};
use crate::{Failure, Verdict};

/// Delays or answers HTTP requests; gRPC calls on the same port are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpFault {
    /// How late the request is handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// How far the delay is drawn to both sides, at most the delay itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<HumanDuration>,
    /// The status that is answered instead of the service, 200 to 599; none lets the service answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The share of the matching requests, exactly so of each hundred in a row; all when not given.
    #[serde(default = "timing::hundred", skip_serializing_if = "timing::is_hundred")]
    pub percent: Percentage,
    /// The only HTTP method, in any case; all when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The only path and all below it: `/orders` matches `/orders` and `/orders/1`, not `/ordersheet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Default for HttpFault {
    /// Returns a fault on all requests that does nothing yet: set a delay or a status.
    fn default() -> Self {
        Self { delay: None, jitter: None, status: None, percent: timing::hundred(), method: None, path: None }
    }
}

impl HttpFault {
    /// Says whether the fault applies to `request`, before its share is drawn.
    pub fn matches<B>(&self, request: &Request<B>) -> bool {
        let method = self.method.as_deref();
        let path = self.path.as_deref();
        method.is_none_or(|method| method.eq_ignore_ascii_case(request.method().as_str()))
            && path.is_none_or(|prefix| is_below(request.uri().path(), prefix))
            && !status::is_grpc(request)
    }

    /// Draws what happens to one matching request.
    pub fn verdict(&self, draw: Draw) -> Verdict {
        if !draw.hits(self.percent) {
            return Verdict::Pass;
        }
        let delay = timing::draw(self.delay, self.jitter, &mut draw.rng());
        let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        Verdict::new(delay, status.map(Failure::Http))
    }

    pub(super) fn validate(&self) -> Result<(), InvalidFault> {
        let error = |field, problem| Err(InvalidFault { kind: "http", field, problem });
        timing::validate("http", self.delay, self.jitter, self.status.is_some(), self.percent)?;
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            error("status", "is not between 200 and 599")
        } else if self.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            error("path", "does not start with `/`")
        } else if self.method.as_ref().is_some_and(String::is_empty) {
            error("method", "is empty; leave it out to mean all")
        } else {
            Ok(())
        }
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str) -> Request<()> {
        Request::builder().method(method).uri(uri).body(()).expect("a request")
    }

    #[test]
    fn a_path_is_matched_by_whole_segments() {
        let fault = HttpFault { path: Some("/orders".to_owned()), ..HttpFault::default() };
        for (uri, matches) in [("/orders", true), ("/orders/1?x", true), ("/ordersheet", false), ("/", false)]
        {
            assert_eq!(fault.matches(&request("GET", uri)), matches, "{uri}");
        }
    }

    #[test]
    fn a_method_is_matched_in_any_case_and_grpc_never() {
        let fault = HttpFault { method: Some("post".to_owned()), ..HttpFault::default() };
        assert!(fault.matches(&request("POST", "/")));
        assert!(!fault.matches(&request("GET", "/")));
        let mut call = request("POST", "/");
        call.headers_mut().insert("content-type", "application/grpc+proto".parse().expect("a value"));
        assert!(!fault.matches(&call));
        assert!(!HttpFault::default().matches(&call));
    }
}
