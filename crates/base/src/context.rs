//! What a layer may know of any request, whatever its transport.

use crate::{Deadline, Priority, TraceContext};

/// Read access to what every layer needs to know of a request: deadline, trace, key and operation.
///
/// HTTP requests, RPCs and event deliveries implement it, so that a guard or a fault is written once.
pub trait Context {
    /// Returns the deadline that came with the request or was set by a layer above, if any.
    fn deadline(&self) -> Option<Deadline>;

    /// Returns the trace that the request belongs to, if any.
    fn trace(&self) -> Option<TraceContext>;

    /// Returns the key that makes a repetition of the request recognisable, if any.
    fn key(&self) -> Option<&str>;

    /// Returns the low-cardinality name of what is asked for: an RPC's path, an HTTP path, an event's type.
    fn operation(&self) -> &str;

    /// Says whether the request has the same effect however often it is made, so that it can be made twice on
    /// purpose. By default it has if it has a [`key`](Self::key).
    fn is_idempotent(&self) -> bool {
        self.key().is_some()
    }

    /// Returns how much the request matters when not all can be served.
    fn priority(&self) -> Priority {
        Priority::default()
    }
}

/// Write access to the part of a request's context that layers set.
pub trait ContextMut: Context {
    /// Sets the deadline that layers below and the callee see.
    fn set_deadline(&mut self, deadline: Deadline);
}

/// A deadline, a priority, and optionally a trace, kept in the extensions of a request; the key is the header
/// `Idempotency-Key`, the operation is the path. Idempotent is what has a key, and what is so by its method (RFC
/// 9110, section 9.2.2).
impl<B> Context for http::Request<B> {
    fn deadline(&self) -> Option<Deadline> {
        self.extensions().get::<Deadline>().copied()
    }

    fn trace(&self) -> Option<TraceContext> {
        self.extensions()
            .get::<TraceContext>()
            .copied()
            .or_else(|| self.headers().get("traceparent")?.to_str().ok()?.parse().ok())
    }

    fn key(&self) -> Option<&str> {
        self.headers().get("idempotency-key")?.to_str().ok()
    }

    fn operation(&self) -> &str {
        self.uri().path()
    }

    fn is_idempotent(&self) -> bool {
        self.method().is_idempotent() || self.key().is_some()
    }

    fn priority(&self) -> Priority {
        self.extensions().get::<Priority>().copied().unwrap_or_default()
    }
}

impl<B> ContextMut for http::Request<B> {
    fn set_deadline(&mut self, deadline: Deadline) {
        // The place of one that is there already is used again: `insert` would allocate.
        match self.extensions_mut().get_mut::<Deadline>() {
            Some(place) => *place = deadline,
            None => drop(self.extensions_mut().insert(deadline)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_http_request_carries_its_context() {
        let mut request = http::Request::builder()
            .uri("http://orders/orders?x=1")
            .header("idempotency-key", "k1")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .body(())
            .expect("a valid request");
        assert_eq!(request.deadline(), None);
        let deadline = Deadline::within(Duration::from_secs(1));
        request.set_deadline(deadline);
        assert_eq!(request.deadline(), Some(deadline));
        let earlier = Deadline::within(Duration::from_millis(1));
        request.set_deadline(earlier);
        assert_eq!(request.deadline(), Some(earlier));
        assert_eq!(request.key(), Some("k1"));
        assert_eq!(request.operation(), "/orders");
        assert!(request.trace().is_some());
        assert_eq!(request.priority(), Priority::Critical);
        request.extensions_mut().insert(Priority::Sheddable);
        assert_eq!(request.priority(), Priority::Sheddable);
    }

    #[test]
    fn an_http_request_is_idempotent_by_its_method_or_its_key() {
        let request = |method: &str, key: Option<&str>| {
            let mut request = http::Request::builder().method(method);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            request.body(()).expect("a valid request").is_idempotent()
        };
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
            assert!(request(method, None), "{method}");
        }
        for method in ["POST", "PATCH"] {
            assert!(!request(method, None) && request(method, Some("k1")), "{method}");
        }
    }
}
