//! One call with its repetitions.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use steadfast_base::{Classify, ContextMut, Deadline};
use tokio::time::Instant;
use tower_service::Service;

use super::AttemptTimedOut;
use super::held::Hold;
use crate::Rejection;
use crate::timer::Timer;

pin_project! {
    /// The answer of a [`RetryService`](super::RetryService). Dropping it drops the attempt that is under way.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, Req>
    where
        S: Service<Req>,
    {
        service: S,
        shared: Hold,
        // What the next attempt is made from; taken by the last.
        request: Option<Req>,
        // The deadline that all attempts share.
        deadline: Option<Deadline>,
        // The end of the attempt that is under way, and whether it is its own and not the deadline.
        attempt_end: Option<Instant>,
        is_attempt_bounded: bool,
        // How many attempts were begun.
        attempts: u32,
        // The last wait, without what the callee asked for.
        backed_off: Duration,
        #[pin]
        stage: Stage<S::Future>,
        // The end of the wait or of the attempt, by the stage. Set when there is something to wait for.
        #[pin]
        timer: Option<Timer>,
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

/// A wait before the next attempt.
struct Wait {
    /// How long it is, without what the callee asked for.
    backed_off: Duration,
    until: Deadline,
}

impl<S, Req> RetryFuture<S, Req>
where
    S: Service<Req>,
    Req: ContextMut,
{
    #[inline]
    pub(super) fn new(ready: S, request: Req, shared: Hold) -> Self {
        shared.local.budget.deposit();
        Self {
            service: ready,
            shared,
            deadline: request.deadline(),
            request: Some(request),
            attempt_end: None,
            is_attempt_bounded: false,
            attempts: 0,
            backed_off: Duration::ZERO,
            stage: Stage::First,
            timer: None,
        }
    }
}

impl<S: Service<Req>, Req> RetryFuture<S, Req> {
    /// A call that the guard has nothing to do with: no attempt is begun, so that none can be repeated.
    #[inline]
    pub(crate) fn passing(mut ready: S, request: Req, shared: Hold) -> Self {
        let call = ready.call(request);
        Self {
            service: ready,
            shared,
            deadline: None,
            request: None,
            attempt_end: None,
            is_attempt_bounded: false,
            attempts: 0,
            backed_off: Duration::ZERO,
            stage: Stage::Calling { call },
            timer: None,
        }
    }
}

impl<S, Req> Future for RetryFuture<S, Req>
where
    S: Service<Req> + Clone,
    S::Response: Classify,
    S::Error: Classify + From<Rejection>,
    Req: Clone + ContextMut,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let result = match this.stage.as_mut().project() {
                StageProjection::First => {
                    if self.as_mut().begin() {
                        self.as_mut().send();
                        continue;
                    }
                    Err(Rejection::DeadlineExceeded.into())
                }
                StageProjection::Waiting => {
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(cx));
                        this.timer.set(None);
                    }
                    // The wait may have ended late by the timer's grain.
                    if self.as_mut().begin() {
                        self.as_mut().project().stage.set(Stage::Readying);
                        continue;
                    }
                    Err(Rejection::DeadlineExceeded.into())
                }
                StageProjection::Readying => match this.service.poll_ready(cx) {
                    // Readiness may have come late.
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
                    Poll::Pending => Err(ready!(self.as_mut().poll_end(cx)).into()),
                },
                StageProjection::Calling { call } => match call.poll(cx) {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(ready!(self.as_mut().poll_end(cx)).into()),
                },
                StageProjection::Ended => panic!("polled after it was ready"),
            };
            // The attempt is over: it is dropped before the wait, or before the answer is handed out.
            self.as_mut().project().stage.set(Stage::Ended);
            let Some(wait) = self.decide(&result) else { return Poll::Ready(result) };
            self.as_mut().wait(wait);
        }
    }
}

impl<S, Req> RetryFuture<S, Req>
where
    S: Service<Req>,
    Req: Clone + ContextMut,
{
    /// Begins an attempt: says how long it may take. False if no time is left.
    #[inline]
    fn begin(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        *this.attempts += 1;
        let policy = &this.shared.local.policy;
        let overall = policy.overall_timeout.filter(|_| *this.attempts == 1);
        if this.deadline.is_none() && overall.is_none() && policy.attempt_timeout.is_none() {
            return true;
        }
        // The clock is read once for all of them, and only if one is there.
        let now = Instant::now();
        if let Some(overall) = overall {
            let overall = Deadline::after(now, overall);
            *this.deadline = Some(this.deadline.map_or(overall, |deadline| deadline.earliest(overall)));
        }
        let deadline = this.deadline.map(Deadline::instant);
        let own = policy.attempt_timeout.map(|limit| Deadline::after(now, limit).instant());
        *this.is_attempt_bounded = own.is_some_and(|own| deadline.is_none_or(|deadline| own < deadline));
        *this.attempt_end = if *this.is_attempt_bounded { own } else { deadline };
        deadline.is_none_or(|deadline| now < deadline)
    }

    /// Sends the attempt to the service, which is ready; the callee sees the attempt's deadline.
    #[inline]
    fn send(self: Pin<&mut Self>) {
        let mut this = self.project();
        let is_last = *this.attempts >= this.shared.local.policy.attempts_max;
        let request = if is_last { this.request.take() } else { this.request.clone() };
        let mut request = request.expect("only the last attempt takes the request");
        if let Some(end) = *this.attempt_end {
            request.set_deadline(Deadline::at(end));
        }
        let call = this.service.call(request);
        this.stage.set(Stage::Calling { call });
    }

    /// Waits for the end of the attempt's time, and says whose time it was.
    fn poll_end(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rejection> {
        let mut this = self.project();
        let Some(end) = *this.attempt_end else { return Poll::Pending };
        if this.timer.is_none() {
            this.timer.set(Some(Timer::until(end)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(match this.shared.local.policy.attempt_timeout {
            Some(after) if *this.is_attempt_bounded && !this.deadline.is_some_and(Deadline::is_expired) => {
                AttemptTimedOut { after }.into()
            }
            _ => Rejection::DeadlineExceeded,
        })
    }

    /// Decides on `result`: returns how long to wait before the next attempt, or `None` when there is none.
    #[inline]
    fn decide<R: Classify>(&self, result: &R) -> Option<Wait> {
        if self.attempts > 0 && result.classify().is_retryable() {
            self.repeat(result.retry_after())
        } else {
            None
        }
    }

    /// Decides on a transient failure after which the callee `asked` to be left alone.
    #[cold]
    fn repeat(&self, asked: Option<Duration>) -> Option<Wait> {
        let policy = &self.shared.local.policy;
        let counters = &self.shared.counters;
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        // IMPORTANT: The number is asked, not whether the request is still there: an attempt that never became ready
        // has not taken it.
        let Some(request) = self.request.as_ref().filter(|_| self.attempts < policy.attempts_max) else {
            count(&counters.out_of_attempts);
            return None;
        };
        let asked = asked.unwrap_or(Duration::ZERO);
        let backed_off = self.shared.delay(&policy.backoff, self.attempts - 1, self.backed_off);
        let delay = asked.saturating_add(backed_off);
        let now = Instant::now();
        let comes_too_late = match now.checked_add(delay) {
            Some(wake) => self.deadline.is_some_and(|deadline| wake >= deadline.instant()),
            None => true,
        };
        // Time is asked before the budget: a repetition that comes too late must not cost one.
        if comes_too_late || asked > policy.retry_after_max {
            count(&counters.out_of_time);
            return None;
        }
        if !self.shared.local.budget.withdraw() {
            count(&counters.out_of_budget);
            return None;
        }
        count(&counters.repeated);
        let (attempts, operation) = (self.attempts, request.operation());
        let delay_ms = delay.as_millis() as u64;
        tracing::debug!(operation, attempts, delay_ms, "attempt failed, repeating");
        Some(Wait { backed_off, until: Deadline::after(now, delay) })
    }

    fn wait(self: Pin<&mut Self>, Wait { backed_off, until }: Wait)
    where
        S: Clone,
    {
        let mut this = self.project();
        // A guard below may have refused the attempt: what the service has reserved for it is given back meanwhile.
        *this.service = this.service.clone();
        *this.backed_off = backed_off;
        this.timer.set(Some(Timer::until(until.instant())));
        this.stage.set(Stage::Waiting);
    }
}
