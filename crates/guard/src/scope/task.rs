//! The handle of a task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::{JoinError, JoinHandle};

use super::TaskError;
use super::error::panic_message;

/// A task of a scope. Awaiting it returns its result; dropping it leaves the task to its scope.
///
/// # Cancel safety
/// Awaiting it by `&mut` can be given up and taken up again.
#[must_use = "dropping it leaves the task running; say so by `drop`"]
pub struct Task<T> {
    handle: JoinHandle<Result<T, TaskError>>,
}

impl<T> Task<T> {
    pub(super) fn new(handle: JoinHandle<Result<T, TaskError>>) -> Self {
        Self { handle }
    }

    /// Cancels the task: it is dropped at its next `await`.
    pub fn cancel(&self) {
        self.handle.abort();
    }

    /// Says whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.handle).poll(cx)).unwrap_or_else(|error| Err(ended(error))))
    }
}

fn ended(error: JoinError) -> TaskError {
    match error.try_into_panic() {
        Ok(payload) => TaskError::Panicked { message: panic_message(payload.as_ref()) },
        Err(_) => TaskError::Cancelled,
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}
