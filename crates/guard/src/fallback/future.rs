//! The answer of a call for whose failure there is a substitute.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steadfast_base::Classify;
use tower_service::Service;

use super::Substitute;
use super::layer::Shared;
use super::policy::Substituted;

pin_project! {
    /// The answer of a [`FallbackService`](super::FallbackService). Dropping it drops the call, or what stands in for
    /// it.
    #[must_use = "futures do nothing unless polled"]
    pub struct FallbackFuture<S, F, Req>
    where
        S: Service<Req>,
        F: Substitute<Req, S::Response, S::Error>,
    {
        shared: Arc<Shared<F>>,
        kept: Option<F::Kept>,
        #[pin]
        stage: Stage<S::Future, F::Future>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<C, F> {
        Calling { #[pin] call: C },
        Substituting { #[pin] substitute: F },
    }
}

impl<S, F, Req> FallbackFuture<S, F, Req>
where
    S: Service<Req>,
    F: Substitute<Req, S::Response, S::Error>,
{
    pub(super) fn new(call: S::Future, kept: F::Kept, shared: Arc<Shared<F>>) -> Self {
        Self { shared, kept: Some(kept), stage: Stage::Calling { call } }
    }

    /// A call that the guard has nothing to do with: nothing was kept of it.
    #[inline]
    pub(crate) fn passing(call: S::Future, shared: Arc<Shared<F>>) -> Self {
        Self { shared, kept: None, stage: Stage::Calling { call } }
    }
}

impl<S, F, Req> Future for FallbackFuture<S, F, Req>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify,
    F: Substitute<Req, S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let result = match this.stage.as_mut().project() {
                StageProjection::Substituting { substitute } => return substitute.poll(cx),
                StageProjection::Calling { call } => ready!(call.poll(cx)),
            };
            let Some(kept) = this.kept.take() else { return Poll::Ready(result) };
            let is_failure = result.classify().is_failure();
            let substitute = &this.shared.substitute;
            match result {
                Ok(response) if !is_failure => {
                    substitute.succeeded(kept, &response);
                    return Poll::Ready(Ok(response));
                }
                // The caller's own mistake, which nothing else would answer better.
                Err(error) if !is_failure => return Poll::Ready(Err(error)),
                failure => match substitute.failed(kept, failure) {
                    Substituted::Nothing(failure) => return Poll::Ready(failure),
                    Substituted::Answer(substitute) => {
                        this.shared.substituted.fetch_add(1, Ordering::Relaxed);
                        this.stage.set(Stage::Substituting { substitute });
                    }
                },
            }
        }
    }
}
