//! The layer that says how long an answer took.

use tower_layer::Layer;

use super::ServerTimingService;

/// Adds to each HTTP response the header `server-timing: total;dur=MILLISECONDS`
/// (<https://www.w3.org/TR/server-timing/>), from which callers learn how much of their time is lost on the way; see
/// [`Measured`](crate::deadline::Measured).
///
/// The time counts from the moment the request reaches the layer until the head of the response is there, so the layer
/// stands outermost. A header that a handler has set is left.
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use steadfast_base::Classify;
/// use steadfast_guard::deadline::ServerTimingLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let service = ServiceBuilder::new()
///     .layer(ServerTimingLayer)
///     .service(service_fn(|_: http::Request<()>| async { Ok::<_, Infallible>(http::Response::new(())) }));
/// let Ok(response) = service.oneshot(http::Request::new(())).await;
/// assert!(response.service_time().is_some());
/// # });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerTimingLayer;

impl<S> Layer<S> for ServerTimingLayer {
    type Service = ServerTimingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerTimingService::new(inner)
    }
}
