//! The answer of a bounded call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use steadfast_base::Deadline;
use tokio::time::Sleep;

use crate::Rejection;

pin_project! {
    /// The answer of a [`DeadlineService`](super::DeadlineService). Dropping it drops the call.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct DeadlineFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        Calling { #[pin] call: F, #[pin] timer: Sleep },
        Ended,
    }
}

impl<F> DeadlineFuture<F> {
    pub(super) fn calling(call: F, deadline: Deadline) -> Self {
        Self { state: State::Calling { call, timer: tokio::time::sleep_until(deadline.instant()) } }
    }

    pub(super) fn refused() -> Self {
        Self { state: State::Ended }
    }
}

impl<F, R, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: From<Rejection>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let StateProjection::Calling { call, timer } = state.as_mut().project() {
            // The answer goes first: one that is there when the time is up is still an answer.
            if let Poll::Ready(result) = call.poll(cx) {
                return Poll::Ready(result);
            }
            if timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
            state.set(State::Ended);
        }
        Poll::Ready(Err(Rejection::DeadlineExceeded.into()))
    }
}
