//! The layer that sheds load before a service.

use tower_layer::Layer;

use super::{Shed, ShedService};

/// Lets calls in as the callee can bear them; see the [module](crate::shed).
///
/// # Examples
/// ```
/// use steadfast_base::Seed;
/// use steadfast_guard::{Error, Shed, ShedLayer, ShedPolicy};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error<std::convert::Infallible>> {
/// let shed = Shed::new("orders", ShedPolicy::default(), Seed::random());
/// let service = ServiceBuilder::new()
///     .layer(ShedLayer::new(shed.clone()))
///     .map_err(Error::Inner)
///     .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
/// service.oneshot(http::Request::new(())).await?;
/// assert_eq!(shed.snapshot().admitted, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ShedLayer {
    shed: Shed,
}

impl ShedLayer {
    /// Creates a layer whose services share `shed`.
    pub fn new(shed: Shed) -> Self {
        Self { shed }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = ShedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ShedService::new(inner, self.shed.clone())
    }
}
