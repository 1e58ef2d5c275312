//! The answer of a call that may be late.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::Rejection;

pin_project! {
    /// The answer of a [`RefuseExpiredService`](super::RefuseExpiredService).
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct RefuseExpiredFuture<F> {
        #[pin]
        call: Option<F>,
    }
}

impl<F> RefuseExpiredFuture<F> {
    pub(crate) fn calling(call: F) -> Self {
        Self { call: Some(call) }
    }

    pub(super) fn refused() -> Self {
        Self { call: None }
    }
}

impl<F, R, E> Future for RefuseExpiredFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: From<Rejection>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().call.as_pin_mut() {
            Some(call) => call.poll(cx),
            None => Poll::Ready(Err(Rejection::DeadlineExceeded.into())),
        }
    }
}
