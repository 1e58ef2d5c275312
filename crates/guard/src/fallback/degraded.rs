//! Another service, which does less.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steadfast_base::{Classify, Deadline};
use tower_service::Service;

use super::policy::{Substitute, Substituted};

/// Substitutes by asking another service; made by [`FallbackLayer::degraded`](super::FallbackLayer::degraded).
#[derive(Debug, Clone)]
pub struct Degraded<D>(pub(super) D);

impl<D, Req, Response, E> Substitute<Req, Response, E> for Degraded<D>
where
    D: Service<Req, Response = Response, Error = E> + Clone,
    Response: Classify,
    Req: Clone + steadfast_base::Context,
{
    type Kept = Req;
    type Future = DegradedFuture<D, Req>;

    fn keep(&self, request: &Req) -> Req {
        request.clone()
    }

    fn failed(&self, request: Req, failure: Result<Response, E>) -> Substituted<Response, E, Self::Future> {
        if request.deadline().is_some_and(Deadline::is_expired) {
            return Substituted::Nothing(failure);
        }
        Substituted::Answer(DegradedFuture {
            failure: Some(failure),
            service: self.0.clone(),
            request: Some(request),
            call: None,
        })
    }
}

pin_project! {
    /// The answer of a degraded service; if that fails too, the failure of the first.
    #[must_use = "futures do nothing unless polled"]
    pub struct DegradedFuture<D, Req>
    where
        D: Service<Req>,
    {
        failure: Option<Result<D::Response, D::Error>>,
        service: D,
        request: Option<Req>,
        #[pin]
        call: Option<D::Future>,
    }
}

impl<D, Req> Future for DegradedFuture<D, Req>
where
    D: Service<Req, Response: Classify>,
{
    type Output = Result<D::Response, D::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let result = match this.call.as_mut().as_pin_mut() {
                Some(call) => ready!(call.poll(cx)),
                None => match ready!(this.service.poll_ready(cx)) {
                    Ok(()) => {
                        let request = this.request.take().expect("polled after it was ready");
                        let call = this.service.call(request);
                        this.call.set(Some(call));
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            // An answer can be a failure too, by its status.
            let has_failed = result.as_ref().map_or(true, |response| response.classify().is_failure());
            return Poll::Ready(match this.failure.take() {
                Some(failure) if has_failed => failure,
                _ => result,
            });
        }
    }
}
