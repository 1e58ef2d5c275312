//! Polling by hand, with a waker that counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::{Guarded, Request};
use crate::Error;
use crate::testing::Failure;

/// Someone who polls and can be woken.
#[derive(Debug, Default)]
pub(super) struct Task(Arc<Count>);

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    pub(super) fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.0))))
    }

    pub(super) fn poll_ready<S: Guarded>(&self, service: &mut S) -> Poll<Result<(), Error<Failure>>> {
        service.poll_ready(&mut Context::from_waker(&Waker::from(Arc::clone(&self.0))))
    }

    pub(super) fn is_woken(&self) -> bool {
        self.0.0.load(Ordering::Relaxed) > 0
    }
}

/// Sends call `number`.
pub(super) fn call<S: Guarded>(service: &mut S, number: u32) -> Pin<Box<S::Answer>> {
    Box::pin(service.call(Request::new(number)))
}
