//! A call that ends by a given time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::timer::Timer;

pin_project! {
    /// A future with an end. Its timer is set when it has to wait for the first time: an answer that is there at
    /// once costs none.
    #[derive(Debug)]
    pub(crate) struct Bounded<F> {
        #[pin]
        call: F,
        // None: it may take as long as it takes.
        end: Option<Instant>,
        #[pin]
        timer: Option<Timer>,
    }
}

/// The time is up.
#[derive(Debug)]
pub(crate) struct Elapsed;

impl<F> Bounded<F> {
    #[inline]
    pub(crate) fn new(call: F, end: Instant) -> Self {
        Self { call, end: Some(end), timer: None }
    }

    #[inline]
    pub(crate) fn unbounded(call: F) -> Self {
        Self { call, end: None, timer: None }
    }
}

impl<F: Future> Future for Bounded<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // The answer goes first: one that is there when the time is up is still an answer.
        if let Poll::Ready(answer) = this.call.poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        let Some(end) = *this.end else { return Poll::Pending };
        if this.timer.is_none() {
            this.timer.set(Some(Timer::until(end)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(Err(Elapsed))
    }
}
