//! The handle of a job that runs on a thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::JobError;
use super::handle::Shared;
use super::queue::Ticket;

/// A job that was taken. Awaiting it returns its result; dropping it leaves the job to the pool, which runs it all the
/// same.
///
/// # Cancel safety
/// Awaiting it by `&mut` can be given up and taken up again.
#[must_use = "dropping it leaves the job to the pool; say so by `drop`"]
pub struct Submitted<T> {
    pub(super) shared: Arc<Shared>,
    pub(super) ticket: Ticket,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) result: oneshot::Receiver<Result<T, JobError>>,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Submitted<T> {
    /// Cancels the job: while it waits it is taken out of the queue; once it runs it can only be told, by
    /// [`Grant::is_cancelled`](super::Grant::is_cancelled).
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.shared.withdraw(self.ticket, JobError::Cancelled);
    }
}

impl<T> Future for Submitted<T> {
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = Pin::new(&mut self.result).poll(cx) {
            // The sender is dropped without a word only where the process ends around it.
            return Poll::Ready(result.unwrap_or(Err(JobError::NotStarted)));
        }
        let is_late = self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if !is_late {
            return Poll::Pending;
        }
        self.timer = None;
        self.cancelled.store(true, Ordering::Relaxed);
        self.shared.withdraw(self.ticket, JobError::DeadlineExceeded);
        Poll::Ready(Err(JobError::DeadlineExceeded))
    }
}

impl<T> fmt::Debug for Submitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitted").finish_non_exhaustive()
    }
}
