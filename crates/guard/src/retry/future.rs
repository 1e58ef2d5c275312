//! One call with its repetitions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use steadfast_base::{Classify, ContextMut, Deadline};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::layer::Shared;
use crate::Rejection;

pin_project! {
    /// The answer of a [`RetryService`](super::RetryService). Dropping it drops the attempt that is under way.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, Req>
    where
        S: Service<Req>,
    {
        service: S,
        shared: Arc<Shared>,
        // What the next attempt is made from; taken by the last.
        request: Option<Req>,
        // The request's own deadline, which all attempts share.
        deadline: Option<Deadline>,
        // How many attempts were begun.
        attempts: u32,
        #[pin]
        stage: Stage<S::Future>,
        // The end of the wait or of the attempt, by the stage.
        #[pin]
        timer: Option<Sleep>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        // The service is ready, as tower's contract promises for the first attempt.
        First,
        Waiting,
        Readying,
        Calling { #[pin] call: F },
        Ended,
    }
}

impl<S, Req> RetryFuture<S, Req>
where
    S: Service<Req>,
    Req: ContextMut,
{
    pub(super) fn new(ready: S, request: Req, shared: Arc<Shared>) -> Self {
        shared.budget.deposit();
        Self {
            service: ready,
            shared,
            deadline: request.deadline(),
            request: Some(request),
            attempts: 0,
            stage: Stage::First,
            timer: None,
        }
    }
}

impl<S, Req> Future for RetryFuture<S, Req>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: Clone + ContextMut,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let timer = this.timer.as_mut().as_pin_mut();
            let result = match this.stage.as_mut().project() {
                StageProjection::First => {
                    if this.deadline.is_some_and(Deadline::is_expired) {
                        Err(Rejection::DeadlineExceeded.into())
                    } else {
                        self.as_mut().begin();
                        self.as_mut().send();
                        continue;
                    }
                }
                StageProjection::Waiting => {
                    if let Some(timer) = timer {
                        ready!(timer.poll(cx));
                    }
                    self.as_mut().begin();
                    this = self.as_mut().project();
                    this.stage.set(Stage::Readying);
                    continue;
                }
                StageProjection::Readying => match this.service.poll_ready(cx) {
                    // The wait may have ended late by the timer's grain, or readiness may have come late.
                    Poll::Ready(Ok(())) if this.deadline.is_some_and(Deadline::is_expired) => {
                        Err(Rejection::DeadlineExceeded.into())
                    }
                    Poll::Ready(Ok(())) => {
                        self.as_mut().send();
                        continue;
                    }
                    // A service that failed to become ready is not to be asked again.
                    Poll::Ready(Err(error)) => {
                        this.stage.set(Stage::Ended);
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending => Err(ready!(self.as_mut().poll_timer(cx)).into()),
                },
                StageProjection::Calling { call } => match call.poll(cx) {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(ready!(self.as_mut().poll_timer(cx)).into()),
                },
                StageProjection::Ended => panic!("polled after it was ready"),
            };
            // The attempt is over: it is dropped before the wait, or before the answer is handed out.
            self.as_mut().project().stage.set(Stage::Ended);
            let Some(wait) = self.wait(&result) else { return Poll::Ready(result) };
            this = self.as_mut().project();
            this.timer.set(Some(sleep_until(wait)));
            this.stage.set(Stage::Waiting);
        }
    }
}

impl<S, Req> RetryFuture<S, Req>
where
    S: Service<Req>,
    Req: Clone + ContextMut,
{
    /// Begins an attempt: starts its timer.
    fn begin(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.attempts += 1;
        let limit = this.shared.policy.attempt_timeout.map(Deadline::within);
        let end = match (limit, *this.deadline) {
            (Some(limit), Some(deadline)) => Some(limit.earliest(deadline)),
            (limit, deadline) => limit.or(deadline),
        };
        this.timer.set(end.map(|end| sleep_until(end.instant())));
    }

    /// Sends the attempt to the service, which is ready; the callee sees the attempt's deadline.
    fn send(self: Pin<&mut Self>) {
        let mut this = self.project();
        let is_last = *this.attempts >= this.shared.policy.attempts_max;
        let request = if is_last { this.request.take() } else { this.request.clone() };
        let mut request = request.expect("only the last attempt takes the request");
        if let Some(timer) = this.timer.as_pin_mut() {
            request.set_deadline(Deadline::at(timer.deadline()));
        }
        let call = this.service.call(request);
        this.stage.set(Stage::Calling { call });
    }

    /// Waits for the end of the attempt's time, and says whose time it was.
    fn poll_timer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rejection> {
        let this = self.project();
        let Some(timer) = this.timer.as_pin_mut() else { return Poll::Pending };
        ready!(timer.poll(cx));
        Poll::Ready(match this.shared.policy.attempt_timeout {
            Some(after) if !this.deadline.is_some_and(Deadline::is_expired) => {
                Rejection::AttemptTimedOut { after }
            }
            _ => Rejection::DeadlineExceeded,
        })
    }

    /// Decides on `result`: returns when the next attempt begins, or `None` when there is none.
    fn wait<R: Classify>(&self, result: &R) -> Option<Instant> {
        // IMPORTANT: The number is asked, not whether the request is still there: an attempt that never became ready
        // has not taken it.
        if self.attempts >= self.shared.policy.attempts_max || !result.classify().is_retryable() {
            return None;
        }
        let request = self.request.as_ref()?;
        let delay = self.shared.delay(self.attempts - 1) + result.retry_after().unwrap_or(Duration::ZERO);
        let wake = Instant::now().checked_add(delay)?;
        // The deadline is asked before the budget: a repetition that comes too late must not cost one.
        let comes_too_late = self.deadline.is_some_and(|deadline| wake >= deadline.instant());
        if comes_too_late || !self.shared.budget.withdraw() {
            return None;
        }
        let (attempts, operation) = (self.attempts, request.operation());
        tracing::debug!(
            operation,
            attempts,
            delay_ms = delay.as_millis() as u64,
            "attempt failed, repeating"
        );
        Some(wake)
    }
}
