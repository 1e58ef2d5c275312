//! The layer that stands behind a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast_base::Budget;
use tower_layer::Layer;

use super::{RefuseExpiredPolicy, RefuseExpiredService};

/// Refuses calls that come when their deadline has passed, for nobody waits for their answer any more.
///
/// It stands between a queue and what is waited for, so that a queue that has grown empties without work for nobody.
/// The share of calls that it refuses is capped: where clocks or defaults are wrong and every call seems late, most are
/// answered all the same. After the deadline filter of Finagle.
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use steadfast_guard::deadline::{RefuseExpiredLayer, RefuseExpiredPolicy};
/// use steadfast_guard::{Error, ServerDeadlineLayer};
/// use tower::{ServiceBuilder, service_fn};
///
/// let handler = service_fn(|_: http::Request<()>| async { Ok::<_, Error<Infallible>>(http::Response::new(())) });
/// let service = ServiceBuilder::new()
///     .layer(ServerDeadlineLayer::default())
///     .concurrency_limit(64)
///     .layer(RefuseExpiredLayer::new(RefuseExpiredPolicy::default()))
///     .service(handler);
/// # let _: tower::util::BoxService<http::Request<()>, _, _> = tower::util::BoxService::new(service);
/// ```
#[derive(Debug, Clone)]
pub struct RefuseExpiredLayer {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) budget: Budget,
    pub(super) refused: AtomicU64,
    pub(super) let_through: AtomicU64,
}

/// What became of calls that came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExpiredCounts {
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that were let through, for too many had been refused.
    pub let_through: u64,
}

impl RefuseExpiredLayer {
    /// Creates a layer whose services share the cap.
    pub fn new(policy: RefuseExpiredPolicy) -> Self {
        let budget = Budget::new(policy.share_max.clamp(0.0, 1.0), 0);
        let shared = Shared { budget, refused: AtomicU64::new(0), let_through: AtomicU64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Changes the cap; what was earned under the old one stays, up to the new.
    pub fn set_policy(&self, policy: RefuseExpiredPolicy) {
        self.shared.budget.set(policy.share_max.clamp(0.0, 1.0), 0);
    }

    /// Returns what became of calls that came late.
    pub fn counts(&self) -> ExpiredCounts {
        ExpiredCounts {
            refused: self.shared.refused.load(Ordering::Relaxed),
            let_through: self.shared.let_through.load(Ordering::Relaxed),
        }
    }
}

impl Default for RefuseExpiredLayer {
    /// Creates a layer with the default policy.
    fn default() -> Self {
        Self::new(RefuseExpiredPolicy::default())
    }
}

impl<S> Layer<S> for RefuseExpiredLayer {
    type Service = RefuseExpiredService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RefuseExpiredService::new(inner, Arc::clone(&self.shared))
    }
}
