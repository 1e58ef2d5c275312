//! The cheapest call there is, for measuring what guards add to it.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use steadfast_base::{Class, Classify, ContextMut, Deadline, TraceContext};
use tower_service::Service;

use crate::Error;

/// A request that is nothing but its deadline; copying it allocates nothing.
#[derive(Debug, Clone)]
pub struct Call(
    /// The deadline.
    pub Option<Deadline>,
);

impl steadfast_base::Context for Call {
    fn deadline(&self) -> Option<Deadline> {
        self.0
    }
    fn trace(&self) -> Option<TraceContext> {
        None
    }
    fn key(&self) -> Option<&str> {
        None
    }
    fn operation(&self) -> &str {
        "call"
    }
}

impl ContextMut for Call {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.0 = Some(deadline);
    }
}

/// The answer, a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl Classify for Done {
    fn classify(&self) -> Class {
        Class::Success
    }
}

/// A service that answers when its future is polled first, or the second time.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::TimeoutLayer;
/// use steadfast_guard::testing::bare::{Bare, Call, Done};
/// use tower::{Layer, ServiceExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let service = TimeoutLayer::new(Duration::from_secs(1)).layer(Bare { yields: true });
/// assert_eq!(service.oneshot(Call(None)).await, Ok(Done));
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// Whether it is only the second poll that has the answer.
    pub yields: bool,
}

/// The answer to come of a [`Bare`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Answer {
    yields: bool,
}

impl Future for Answer {
    type Output = Result<Done, Error<Infallible>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(black_box(Done)))
    }
}

impl Service<Call> for Bare {
    type Response = Done;
    type Error = Error<Infallible>;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answer {
        // What a guard wrote into the call was written for somebody.
        black_box(&call);
        Answer { yields: self.yields }
    }
}
