//! One call and its hedge.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use steadfast_base::{Classify, Deadline};
use tokio::time::Instant;

use crate::timer::Timer;
use tower_service::Service;

use super::Hedge;

pin_project! {
    /// The answer of a [`HedgeService`](super::HedgeService). Dropping it drops both attempts.
    #[must_use = "futures do nothing unless polled"]
    pub struct HedgeFuture<S, Req>
    where
        S: Service<Req>,
    {
        // `None` for a call that must not be made twice, and once the first attempt is accounted for.
        measured: Option<Measured>,
        #[pin]
        first: Option<S::Future>,
        // What the first attempt failed with while the second was under way.
        failed: Option<Result<S::Response, S::Error>>,
        #[pin]
        second: Second<S, Req>,
    }

    impl<S, Req> PinnedDrop for HedgeFuture<S, Req>
    where
        S: Service<Req>,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(measured) = this.measured.take() {
                measured.given_up();
            }
        }
    }
}

/// The first attempt, whose latency is of interest.
struct Measured {
    hedge: Hedge,
    started: Instant,
    /// The delay when it began.
    delay: Option<Duration>,
}

pin_project! {
    #[project = SecondProjection]
    enum Second<S, Req>
    where
        S: Service<Req>,
    {
        Waiting { #[pin] turn: Timer, spare: Option<Spare<S, Req>> },
        Readying { spare: Option<Spare<S, Req>> },
        Calling { #[pin] call: S::Future },
        None,
    }
}

/// What a second attempt is made of.
struct Spare<S, Req> {
    service: S,
    request: Req,
    deadline: Option<Deadline>,
}

impl<S, Req> HedgeFuture<S, Req>
where
    S: Service<Req> + Clone,
    Req: Clone + steadfast_base::Context,
{
    /// Makes the first attempt. `ready` was polled ready.
    pub(super) fn new(ready: &mut S, request: Req, hedge: &Hedge) -> Self {
        if !request.is_idempotent() {
            return Self::passing(ready.call(request));
        }
        hedge.begin();
        let (started, delay, deadline) = (Instant::now(), hedge.delay(), request.deadline());
        let turn = delay
            .and_then(|delay| started.checked_add(delay))
            .filter(|turn| deadline.is_none_or(|deadline| *turn < deadline.instant()));
        let second = match turn {
            Some(turn) => Second::Waiting {
                turn: Timer::until(turn),
                spare: Some(Spare { service: ready.clone(), request: request.clone(), deadline }),
            },
            None => Second::None,
        };
        Self {
            measured: Some(Measured { hedge: hedge.clone(), started, delay }),
            first: Some(ready.call(request)),
            failed: None,
            second,
        }
    }
}

impl<S: Service<Req>, Req> HedgeFuture<S, Req> {
    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: S::Future) -> Self {
        Self { measured: None, first: Some(call), failed: None, second: Second::None }
    }
}

impl<S, Req> Future for HedgeFuture<S, Req>
where
    S: Service<Req>,
    S::Response: Classify,
    S::Error: Classify,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        if let Some(first) = this.first.as_mut().as_pin_mut()
            && let Poll::Ready(result) = first.poll(cx)
        {
            let is_failure = result.classify().is_failure();
            this.first.set(None);
            if let Some(measured) = this.measured.take()
                && !is_failure
            {
                measured.answered();
            }
            if !is_failure || !matches!(*this.second, Second::Calling { .. }) {
                this.second.set(Second::None);
                return Poll::Ready(result);
            }
            *this.failed = Some(result);
        }
        loop {
            let next = match this.second.as_mut().project() {
                SecondProjection::None => return Poll::Pending,
                SecondProjection::Waiting { turn, spare } => {
                    if turn.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    Second::Readying { spare: spare.take() }
                }
                SecondProjection::Readying { spare } => {
                    let Some(Spare { service, .. }) = spare else { return Poll::Pending };
                    let is_ready = match service.poll_ready(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(result) => result.is_ok(),
                    };
                    let spare = spare
                        .take()
                        .filter(|spare| is_ready && !spare.deadline.is_some_and(Deadline::is_expired));
                    // Paid for last, so that what is paid for is sent.
                    match (spare, &*this.measured) {
                        (Some(mut spare), Some(measured)) if measured.hedge.pay() => {
                            Second::Calling { call: spare.service.call(spare.request) }
                        }
                        _ => Second::None,
                    }
                }
                SecondProjection::Calling { call } => {
                    let Poll::Ready(result) = call.poll(cx) else { return Poll::Pending };
                    let first_failed = this.failed.take();
                    if result.classify().is_failure() && this.first.is_some() {
                        // The first may still succeed.
                        this.second.set(Second::None);
                        return Poll::Pending;
                    }
                    this.second.set(Second::None);
                    this.first.set(None);
                    if let Some(measured) = this.measured.take() {
                        measured.hedge.won();
                        measured.given_up();
                    }
                    return Poll::Ready(match first_failed {
                        Some(failed) if result.classify().is_failure() => failed,
                        _ => result,
                    });
                }
            };
            this.second.set(next);
        }
    }
}

impl Measured {
    fn answered(self) {
        self.hedge.record(self.started.elapsed());
    }

    /// Counts a call that had not been answered when it was given up with the time it had taken by then. That is too
    /// low, which matters only to percentiles above it; so it counts only if it was late already.
    fn given_up(self) {
        let latency = self.started.elapsed();
        if self.delay.is_some_and(|delay| latency >= delay) {
            self.hedge.record(latency);
        }
    }
}
