use serde::{Deserialize, Serialize};
use steadfast_base::units::{HumanDuration, Percentage};

use super::{Draw, GrpcStatus, InvalidFault, status, timing};
use crate::{Failure, Verdict};

/// Delays or answers gRPC calls, also those of health checks unless a method is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrpcFault {
    /// How late the call is handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// How far the delay is drawn to both sides, at most the delay itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<HumanDuration>,
    /// The status that is answered instead of the service; none lets the service answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<GrpcStatus>,
    /// The share of the matching calls, exactly so of each hundred in a row; all when not given.
    #[serde(default = "timing::hundred", skip_serializing_if = "timing::is_hundred")]
    pub percent: Percentage,
    /// The only method, as `Charge` or as `payment.v1.Payment/Charge`; all when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

impl Default for GrpcFault {
    /// Returns a fault on all calls that does nothing yet: set a delay or a status.
    fn default() -> Self {
        Self { delay: None, jitter: None, status: None, percent: timing::hundred(), method: None }
    }
}

impl GrpcFault {
    /// Says whether the fault applies to `request`, before its share is drawn.
    pub fn matches<B>(&self, request: &http::Request<B>) -> bool {
        status::is_grpc(request)
            && self.method.as_deref().is_none_or(|method| {
                let path = request.uri().path();
                let name = if method.contains('/') {
                    path.strip_prefix('/').unwrap_or(path)
                } else {
                    path.rsplit('/').next().unwrap_or(path)
                };
                name == method.strip_prefix('/').unwrap_or(method)
            })
    }

    /// Draws what happens to one matching call.
    pub fn verdict(&self, draw: Draw) -> Verdict {
        if !draw.hits(self.percent) {
            return Verdict::Pass;
        }
        Verdict::new(timing::draw(self.delay, self.jitter, &mut draw.rng()), self.status.map(Failure::Grpc))
    }

    pub(super) fn validate(&self) -> Result<(), InvalidFault> {
        let error = |field, problem| Err(InvalidFault { kind: "grpc", field, problem });
        timing::validate("grpc", self.delay, self.jitter, self.status.is_some(), self.percent)?;
        if self.status == Some(GrpcStatus::OK) {
            error("status", "is OK, which needs an answer of the service; leave it out")
        } else if self.method.as_ref().is_some_and(|method| method.is_empty() || method.ends_with('/')) {
            error("method", "names no method; write `Charge` or `payment.v1.Payment/Charge`")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_matched_by_name_or_by_path() {
        let call = http::Request::post("/payment.v1.Payment/Charge")
            .header("content-type", "application/grpc")
            .body(())
            .expect("a request");
        for (method, matches) in [
            ("Charge", true),
            ("payment.v1.Payment/Charge", true),
            ("/payment.v1.Payment/Charge", true),
            ("charge", false),
            ("Payment/Charge", false),
            ("Refund", false),
        ] {
            let fault = GrpcFault { method: Some(method.to_owned()), ..GrpcFault::default() };
            assert_eq!(fault.matches(&call), matches, "{method}");
        }
        let plain = http::Request::post("/payment.v1.Payment/Charge").body(()).expect("a request");
        assert!(!GrpcFault::default().matches(&plain));
    }
}
