//! The layer that hedges calls.

use tower_layer::Layer;

use super::{Hedge, HedgeService};

/// Makes a second attempt where the first takes unusually long; see the [module](crate::hedge).
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use steadfast_base::Budget;
/// use steadfast_guard::{Error, Hedge, HedgeLayer, HedgePolicy};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error<std::convert::Infallible>> {
/// let hedge = Hedge::new("inventory", HedgePolicy::default(), Arc::new(Budget::new(0.05, 0)));
/// let service = ServiceBuilder::new()
///     .layer(HedgeLayer::new(hedge.clone()))
///     .map_err(Error::Inner)
///     .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
/// service.oneshot(http::Request::new(())).await?;
/// assert_eq!(hedge.snapshot().answers, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HedgeLayer {
    hedge: Hedge,
}

impl HedgeLayer {
    /// Creates a layer whose services share `hedge`.
    pub fn new(hedge: Hedge) -> Self {
        Self { hedge }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = HedgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService::new(inner, self.hedge.clone())
    }
}
