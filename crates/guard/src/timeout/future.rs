//! The answer of a call that may take too long.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steadfast_base::Deadline;

use crate::Rejection;
use crate::bounded::Bounded;

pin_project! {
    /// The answer of a [`TimeoutService`](super::TimeoutService). Dropping it drops the call.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct TimeoutFuture<F> {
        #[pin]
        call: Option<Bounded<F>>,
        rejection: Rejection,
    }
}

impl<F> TimeoutFuture<F> {
    #[inline]
    pub(super) fn calling(call: F, end: Deadline, rejection: Rejection) -> Self {
        Self { call: Some(Bounded::new(call, end.instant())), rejection }
    }

    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: F) -> Self {
        Self { call: Some(Bounded::unbounded(call)), rejection: Rejection::DeadlineExceeded }
    }

    pub(super) fn refused() -> Self {
        Self { call: None, rejection: Rejection::DeadlineExceeded }
    }
}

impl<F, R, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: From<Rejection>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(call) = this.call.as_mut().as_pin_mut() {
            if let Ok(result) = ready!(call.poll(cx)) {
                return Poll::Ready(result);
            }
            // The call is dropped before its end is told.
            this.call.set(None);
        }
        Poll::Ready(Err((*this.rejection).into()))
    }
}
