//! The answer of a call in a bulkhead.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::Bulkhead;
use crate::Rejection;
use crate::gate::Passage;

pin_project! {
    /// The answer of a [`BulkheadService`](super::BulkheadService). Dropping it drops the call and gives its room, or
    /// its place in the queue, to another.
    #[must_use = "futures do nothing unless polled"]
    pub struct BulkheadFuture<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        passage: Passage<S, Req, Bulkhead>,
    }
}

impl<S: Service<Req>, Req> BulkheadFuture<S, Req> {
    pub(crate) fn new(passage: Passage<S, Req, Bulkhead>) -> Self {
        Self { passage }
    }
}

impl<S, Req> Future for BulkheadFuture<S, Req>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().passage.poll(cx)) {
            Ok((_permit, result)) => result,
            Err(rejection) => Err(rejection.into()),
        })
    }
}
