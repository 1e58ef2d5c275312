use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::routing::get;
use steadfast::problem::Problem;

use super::not_ready;

/// Holds the service until it is ready; before that, requests are turned away with 503.
///
/// Used as an extractor's state: a handler that takes [`Ready`] runs only behind an open gate.
pub struct Gate<T>(Arc<OnceLock<Arc<T>>>);

impl<T> Clone for Gate<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self(Arc::new(OnceLock::new()))
    }
}

impl<T> Gate<T> {
    /// Lets requests through to `service`; a second opening changes nothing.
    pub fn open(&self, service: Arc<T>) {
        let _ = self.0.set(service);
    }

    /// Returns the service once the gate is open.
    pub fn get(&self) -> Option<&Arc<T>> {
        self.0.get()
    }
}

/// Extracts the service behind an open [`Gate`].
pub struct Ready<T>(pub Arc<T>);

impl<T: Send + Sync + 'static> FromRequestParts<Gate<T>> for Ready<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        _parts: &mut axum::http::request::Parts,
        gate: &Gate<T>,
    ) -> Result<Self, Problem> {
        gate.get().map(|service| Self(Arc::clone(service))).ok_or_else(not_ready)
    }
}

/// Makes the routes `/live` and `/ready`.
pub fn probes<T: Send + Sync + 'static>(gate: Gate<T>) -> Router {
    let ready = async |State(gate): State<Gate<T>>| match gate.get() {
        Some(_) => (StatusCode::OK, "ready\n"),
        None => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the log is being read or a dependency is away\n")
        }
    };
    Router::new().route("/live", get(async || "live\n")).route("/ready", get(ready)).with_state(gate)
}
