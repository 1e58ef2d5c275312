use std::time::Duration;

use axum::http::StatusCode;
use steadfast::problem::Problem;

/// How long a client is asked to stay away from a service that is busy or starting.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

/// Makes the problem document of type `urn:problem:KIND` with its title, which is the same for all problems of that
/// kind.
pub fn problem(status: StatusCode, kind: &str, title: &'static str) -> Problem {
    Problem::new(status).with_type(format!("urn:problem:{kind}")).with_title(title)
}

/// Makes the problem that the service has not read its log yet, or that its log takes nothing.
pub fn not_ready() -> Problem {
    problem(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "the service is not ready")
        .with_retry_after(COME_BACK_AFTER)
}

/// Makes the problem that more is asked than can be done.
pub fn overloaded() -> Problem {
    problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too much is being asked at once")
        .with_retry_after(COME_BACK_AFTER)
}
