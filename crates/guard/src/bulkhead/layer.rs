//! The layer that puts a bulkhead around a service.

use tower_layer::Layer;

use super::{Bulkhead, BulkheadService};

/// Lets calls in while there is room in its [`Bulkhead`]; see the [module](crate::bulkhead).
///
/// # Examples
/// ```
/// use steadfast_guard::{Bulkhead, BulkheadLayer, BulkheadPolicy, Error};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error<std::convert::Infallible>> {
/// let bulkhead = Bulkhead::new("reports", BulkheadPolicy::default());
/// let service = ServiceBuilder::new()
///     .layer(BulkheadLayer::new(bulkhead.clone()))
///     .map_err(Error::Inner)
///     .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
/// service.oneshot(http::Request::new(())).await?;
/// assert_eq!(bulkhead.snapshot().admitted, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BulkheadLayer {
    bulkhead: Bulkhead,
}

impl BulkheadLayer {
    /// Creates a layer whose services share `bulkhead`.
    pub fn new(bulkhead: Bulkhead) -> Self {
        Self { bulkhead }
    }
}

impl<S> Layer<S> for BulkheadLayer {
    type Service = BulkheadService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BulkheadService::new(inner, self.bulkhead.clone())
    }
}
