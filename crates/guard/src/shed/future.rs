//! The answer of a call before which load is shed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steadfast_base::Classify;
use tower_service::Service;

use super::Shed;
use crate::Rejection;
use crate::gate::Passage;

pin_project! {
    /// The answer of a [`ShedService`](super::ShedService). Dropping it drops the call and gives its room, or its place
    /// in the queue, to another.
    #[must_use = "futures do nothing unless polled"]
    pub struct ShedFuture<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        passage: Passage<S, Req, Shed>,
    }
}

impl<S: Service<Req>, Req> ShedFuture<S, Req> {
    pub(crate) fn new(passage: Passage<S, Req, Shed>) -> Self {
        Self { passage }
    }
}

impl<S, Req> Future for ShedFuture<S, Req>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().passage.poll(cx)) {
            Ok((permit, result)) => {
                if let Some(permit) = permit {
                    permit.end(result.classify());
                }
                result
            }
            Err(rejection) => Err(rejection.into()),
        })
    }
}
