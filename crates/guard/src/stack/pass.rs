//! How each guard lets a call pass.

use steadfast_base::{Classify, Context, ContextMut};
use tower_service::Service;

use super::switch::Pass;
use crate::Rejection;
use crate::breaker::{BreakerFuture, BreakerService};
use crate::bulkhead::{BulkheadFuture, BulkheadService};
use crate::deadline::{
    Chosen, DeadlineFuture, DeadlineService, RefuseExpiredFuture, RefuseExpiredService,
    ServerDeadlineService, ServerTimingFuture, ServerTimingService,
};
use crate::fallback::{FallbackFuture, FallbackService, Substitute};
use crate::gate::Passage;
use crate::hedge::{HedgeFuture, HedgeService};
use crate::rate_limit::{Limit, RateLimitFuture, RateLimitService};
use crate::retry::held::Hold;
use crate::retry::{RetryFuture, RetryService};
use crate::shed::{ShedFuture, ShedService};
use crate::timeout::{TimeoutFuture, TimeoutService};

impl<S, F, Req> Pass<Req> for FallbackService<S, F>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify,
    F: Substitute<Req, S::Response, S::Error>,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        FallbackFuture::passing(self.inner.call(request), std::sync::Arc::clone(&self.shared))
    }
}

impl<S, Req> Pass<Req> for DeadlineService<S, Chosen>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: From<Rejection>,
    Req: ContextMut,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        DeadlineFuture::passing(self.inner.call(request))
    }
}

impl<S, Req> Pass<Req> for HedgeService<S>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify,
    Req: Clone + Context,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        HedgeFuture::passing(self.inner.call(request))
    }
}

impl<S, Req> Pass<Req> for RetryService<S>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: Clone + ContextMut,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        // The future takes the service that was polled ready, as in a call.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        RetryFuture::passing(ready, request, Hold::new(&self.shared))
    }
}

impl<S, L, Req> Pass<Req> for RateLimitService<S, L>
where
    S: Service<Req> + Clone,
    S::Error: From<Rejection>,
    L: Limit<Req>,
    Req: Context,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        RateLimitFuture::calling(self.inner.call(request))
    }
}

impl<S, Req> Pass<Req> for BulkheadService<S>
where
    S: Service<Req> + Clone,
    S::Error: From<Rejection>,
    Req: Context,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        BulkheadFuture::new(Passage::passing(self.inner.call(request)))
    }
}

impl<S, Req> Pass<Req> for ShedService<S>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: Context,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        ShedFuture::new(Passage::passing(self.inner.call(request)))
    }
}

impl<S, Req> Pass<Req> for BreakerService<S>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: Context,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        BreakerFuture::passing(self.inner.call(request))
    }
}

impl<S, Req> Pass<Req> for TimeoutService<S>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
    Req: ContextMut,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        TimeoutFuture::passing(self.inner.call(request))
    }
}

impl<S, Req, B> Pass<Req> for ServerTimingService<S>
where
    S: Service<Req, Response = http::Response<B>>,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        ServerTimingFuture::passing(self.inner.call(request))
    }
}

impl<S, B> Pass<http::Request<B>> for ServerDeadlineService<S>
where
    S: Service<http::Request<B>>,
{
    fn pass(&mut self, request: http::Request<B>) -> Self::Future {
        self.inner.call(request)
    }
}

impl<S, Req> Pass<Req> for RefuseExpiredService<S>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
    Req: Context,
{
    fn pass(&mut self, request: Req) -> Self::Future {
        RefuseExpiredFuture::calling(self.inner.call(request))
    }
}
