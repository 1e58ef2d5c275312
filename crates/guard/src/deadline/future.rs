//! The answer of a bounded call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::Meter;
use crate::Rejection;
use crate::bounded::Bounded;

pin_project! {
    /// The answer of a [`DeadlineService`](super::DeadlineService). Dropping it drops the call.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct DeadlineFuture<F, M = ()> {
        #[pin]
        state: State<F, M>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F, M> {
        Calling { #[pin] call: Bounded<F>, meter: M },
        Ended,
    }
}

impl<F, M> DeadlineFuture<F, M> {
    #[inline]
    pub(super) fn calling(call: F, end: Instant, meter: M) -> Self {
        Self { state: State::Calling { call: Bounded::new(call, end), meter } }
    }

    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: F) -> Self
    where
        M: Default,
    {
        Self { state: State::Calling { call: Bounded::unbounded(call), meter: M::default() } }
    }

    pub(super) fn refused() -> Self {
        Self { state: State::Ended }
    }
}

impl<F, R, E, M> Future for DeadlineFuture<F, M>
where
    F: Future<Output = Result<R, E>>,
    E: From<Rejection>,
    M: Meter<R>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let StateProjection::Calling { call, meter } = state.as_mut().project() {
            if let Ok(result) = ready!(call.poll(cx)) {
                if let Ok(response) = &result {
                    meter.stop(response);
                }
                return Poll::Ready(result);
            }
            // The call is dropped before its end is told.
            state.set(State::Ended);
        }
        Poll::Ready(Err(Rejection::DeadlineExceeded.into()))
    }
}
