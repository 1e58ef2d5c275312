//! A task as the runtime sees it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::TaskError;
use super::error::panic_message;
use super::handle::Shared;
use super::polls::Times;
use super::table::{About, Key};

pin_project! {
    /// Runs a task until it ends, panics, or `limit` is over.
    pub(super) struct Supervised<F, L> {
        // Taken when it is over, or dropped with this.
        #[pin]
        task: Option<F>,
        #[pin]
        limit: L,
        // IMPORTANT: Behind the task, so that the task's own things are gone when the scope is empty.
        registration: Registration,
    }

    impl<F, L> PinnedDrop for Supervised<F, L> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let dropped = catch_unwind(AssertUnwindSafe(|| this.task.set(None)));
            if let Err(payload) = dropped {
                this.registration.panicked(&panic_message(payload.as_ref()));
            }
        }
    }
}

impl<F, L> Supervised<F, L> {
    pub(super) fn new(task: F, limit: L, registration: Registration) -> Self {
        Self { task: Some(task), limit, registration }
    }
}

impl<F, L> Future for Supervised<F, L>
where
    F: Future,
    L: Future<Output = ()>,
{
    type Output = Result<F::Output, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let task = this.task.as_pin_mut().expect("not polled after it has ended");
        match this.registration.timed(|| catch_unwind(AssertUnwindSafe(|| task.poll(cx)))) {
            // The result goes first: one that is there when the time is up is still a result.
            Ok(Poll::Ready(result)) => {
                this.registration.end = Some(End::Finished);
                Poll::Ready(Ok(result))
            }
            Ok(Poll::Pending) => {
                ready!(this.limit.poll(cx));
                this.registration.end = Some(End::Expired);
                Poll::Ready(Err(TaskError::DeadlineExceeded))
            }
            Err(payload) => {
                let message = panic_message(payload.as_ref());
                this.registration.panicked(&message);
                Poll::Ready(Err(TaskError::Panicked { message }))
            }
        }
    }
}

/// The place of a task in its scope, from before it runs until after it was dropped.
pub(super) struct Registration {
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
    pub(super) about: About,
    times: Arc<Times>,
    end: Option<End>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Expired,
    Panicked,
    Cancelled,
}

impl Registration {
    pub(super) fn new(shared: Arc<Shared>, key: Key, about: About, times: Arc<Times>) -> Self {
        Self { shared, key, about, times, end: None }
    }

    /// Measures how long a poll takes.
    #[inline]
    fn timed<T>(&self, poll: impl FnOnce() -> T) -> T {
        let Some(slow) = self.shared.slow_poll.get() else { return poll() };
        let started = Instant::now();
        let polled = poll();
        let took = started.elapsed();
        self.times.record(took);
        if took >= slow {
            self.blocked(took);
        }
        polled
    }

    /// Counts a poll that was slow, and says so when there are twice as many as were said last.
    #[cold]
    fn blocked(&self, took: Duration) {
        let polls = self.times.record_slow();
        if polls.is_power_of_two() {
            self.shared.report_blocking(&self.about, took, polls);
        }
    }

    fn panicked(&mut self, message: &str) {
        self.end = Some(End::Panicked);
        self.shared.report_panic(&self.about, message);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.count(self.end.unwrap_or(End::Cancelled));
        self.shared.table.leave(self.key);
    }
}
