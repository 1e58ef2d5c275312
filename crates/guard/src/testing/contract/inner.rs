//! The service within.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use super::control::{End, Pending};
use super::{Control, Request, Response};
use crate::Error;
use crate::testing::Failure;

/// A service that takes a place when it becomes ready and keeps it until its call has ended, as one with a limit on
/// concurrency does. It answers when its [`Control`] says so.
#[derive(Debug)]
pub struct Inner {
    control: Control,
    place: Option<Place>,
}

/// The place that a ready service or a call has.
#[derive(Debug)]
struct Place(Control);

impl Inner {
    pub(super) fn new(control: Control) -> Self {
        Self { control, place: None }
    }
}

impl Clone for Inner {
    /// Returns a service of the same limit that is not ready.
    fn clone(&self) -> Self {
        Self::new(self.control.clone())
    }
}

impl Service<Request> for Inner {
    type Response = Response;
    type Error = Error<Failure>;
    type Future = Call;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut shared = self.control.shared.lock();
        if let Some(error) = &shared.fails_to_become_ready {
            return Poll::Ready(Err(error.clone()));
        }
        if self.place.is_none() {
            if shared.taken >= shared.capacity {
                shared.waiting.push(cx.waker().clone());
                return Poll::Pending;
            }
            shared.taken += 1;
            self.place = Some(Place(self.control.clone()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (number, place) = (*request.body(), self.place.take());
        let mut shared = self.control.shared.lock();
        *shared.called.entry(number).or_default() += 1;
        if place.is_none() {
            shared.violations.push(format!("call {number} reached a service that had not been polled ready"));
        }
        shared.calls.entry(number).or_default();
        drop(shared);
        Call { control: self.control.clone(), number, place }
    }
}

/// A call of an [`Inner`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Call {
    control: Control,
    number: u32,
    place: Option<Place>,
}

impl Future for Call {
    type Output = Result<Response, Error<Failure>>;

    /// # Panics
    /// When its [`Control`] says so.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = self.control.shared.lock();
        let Pending { end, waker } = shared.calls.entry(self.number).or_default();
        let Some(end) = end.take() else {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        drop(shared);
        match end {
            End::Answer(answer) => {
                self.place = None;
                Poll::Ready(answer)
            }
            End::Panic => panic!("the call panics, as the suite asked it to"),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.control.shared.lock().calls.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shared = self.0.shared.lock();
        shared.taken -= 1;
        let waiting = std::mem::take(&mut shared.waiting);
        drop(shared);
        waiting.into_iter().for_each(std::task::Waker::wake);
    }
}
