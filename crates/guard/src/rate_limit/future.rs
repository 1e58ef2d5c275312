//! The answer of a call at a limited rate.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use steadfast_base::Deadline;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::{Decision, Error, Limit, RateLimitPolicy, Reservation};
use crate::Rejection;
use crate::unready::unready;

pin_project! {
    /// The answer of a [`RateLimitService`](super::RateLimitService). Dropping it drops the call, or gives the permits
    /// back if the call was still waiting.
    #[must_use = "futures do nothing unless polled"]
    pub struct RateLimitFuture<S, Req>
    where
        S: Service<Req>,
    {
        // Nobody here asks what is left of the quota.
        #[pin]
        admission: Admission<S, Req, ()>,
    }
}

impl<S: Service<Req>, Req> RateLimitFuture<S, Req> {
    #[inline]
    pub(super) fn new(admission: Admission<S, Req, ()>) -> Self {
        Self { admission }
    }

    /// A call that was admitted at once, or that the guard has nothing to do with.
    #[inline]
    pub(crate) fn calling(call: S::Future) -> Self {
        Self { admission: Admission::Calling { call, kept: () } }
    }

    #[inline]
    pub(super) fn refused(error: Error) -> Self {
        Self { admission: Admission::Refused { error } }
    }
}

impl<S, Req> Future for RateLimitFuture<S, Req>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut admission = self.project().admission;
        // Most are admitted at once.
        if let AdmissionProjection::Calling { call, .. } = admission.as_mut().project() {
            return call.poll(cx);
        }
        Poll::Ready(match ready!(admission.poll(cx)) {
            Ok((_, result)) => result,
            Err(error) => Err(Rejection::RateLimited(error).into()),
        })
    }
}

/// What is kept of a decision until the call is answered: all of it, or nothing.
pub(super) trait Keep: Copy {
    fn keep(decision: Decision) -> Self;
}

impl Keep for Decision {
    #[inline]
    fn keep(decision: Decision) -> Self {
        decision
    }
}

impl Keep for () {
    #[inline]
    fn keep(_: Decision) {}
}

pin_project! {
    /// A call that is made when the limit allows it. Ends with the call's result and what was to be kept of the
    /// decision, or with the limiter's refusal.
    #[project = AdmissionProjection]
    pub(super) enum Admission<S, Req, D>
    where
        S: Service<Req>,
    {
        Calling { #[pin] call: S::Future, kept: D },
        // Apart, for it is several times as large as what a call needs that does not wait.
        Waiting { waiting: Option<Pin<Box<Waiting<S, Req>>>> },
        Refused { error: Error },
    }
}

pin_project! {
    /// A call that was not made yet.
    pub(super) struct Waiting<S, Req> {
        #[pin]
        turn: Sleep,
        // A clone, which is polled ready when its turn has come.
        service: S,
        // What is taken when the call is made.
        call: Option<(Req, Reservation)>,
    }
}

impl<S: Service<Req>, Req, D: Keep> Admission<S, Req, D> {
    /// Makes the call now, or begins to wait, or refuses it. `ready` was polled ready.
    #[inline]
    pub(super) fn new<L: Limit<Req>>(ready: &mut S, request: Req, limit: &L, policy: RateLimitPolicy) -> Self
    where
        S: Clone,
        Req: steadfast_base::Context,
    {
        let now = Instant::now();
        if policy.wait_max.is_zero() {
            return match limit.take(&request, now) {
                Ok(decision) => Self::Calling { call: ready.call(request), kept: D::keep(decision) },
                Err(error) => Self::Refused { error },
            };
        }
        Self::or_wait(ready, request, limit, policy.wait_max, now)
    }

    #[inline(never)]
    fn or_wait<L: Limit<Req>>(
        ready: &mut S,
        request: Req,
        limit: &L,
        wait_max: Duration,
        now: Instant,
    ) -> Self
    where
        S: Clone,
        Req: steadfast_base::Context,
    {
        let remaining = request.deadline().map(Deadline::remaining);
        let wait_max = remaining.map_or(wait_max, |remaining| wait_max.min(remaining));
        match limit.reserve(&request, wait_max, now) {
            Ok(reservation) if reservation.ready_at() <= now => {
                let decision = reservation.decision();
                reservation.spend();
                Self::Calling { call: ready.call(request), kept: D::keep(decision) }
            }
            Ok(reservation) => {
                let turn = sleep_until(reservation.ready_at());
                let waiting = Waiting { turn, service: unready(ready), call: Some((request, reservation)) };
                Self::Waiting { waiting: Some(Box::pin(waiting)) }
            }
            Err(error) => Self::Refused { error },
        }
    }
}

impl<S: Service<Req>, Req, D: Keep> Future for Admission<S, Req, D> {
    type Output = Result<(D, Result<S::Response, S::Error>), Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                AdmissionProjection::Calling { call, kept } => {
                    let result = ready!(call.poll(cx));
                    return Poll::Ready(Ok((*kept, result)));
                }
                AdmissionProjection::Waiting { waiting } => {
                    let Some(mut at) = waiting.take() else { panic!("polled after it was ready") };
                    let Poll::Ready(made) = at.as_mut().poll_made(cx) else {
                        *waiting = Some(at);
                        return Poll::Pending;
                    };
                    match made {
                        (decision, Ok(call)) => Self::Calling { call, kept: D::keep(decision) },
                        (decision, Err(error)) => {
                            return Poll::Ready(Ok((D::keep(decision), Err(error))));
                        }
                    }
                }
                AdmissionProjection::Refused { error } => return Poll::Ready(Err(*error)),
            };
            self.set(next);
        }
    }
}

/// What was left of the quota, and the call that was made or why the service was not ready for it.
type Made<S, Req> = (Decision, Result<<S as Service<Req>>::Future, <S as Service<Req>>::Error>);

impl<S: Service<Req>, Req> Waiting<S, Req> {
    /// Makes the call when its turn has come and the service is ready.
    fn poll_made(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Made<S, Req>> {
        let this = self.project();
        // IMPORTANT: a timer that has gone off is not waited for again while the service is not ready.
        if !this.turn.is_elapsed() {
            ready!(this.turn.poll(cx));
        }
        let is_ready = ready!(this.service.poll_ready(cx));
        let (request, reservation) = this.call.take().expect("the call is made once");
        let decision = reservation.decision();
        Poll::Ready((
            decision,
            is_ready.map(|()| {
                reservation.spend();
                this.service.call(request)
            }),
        ))
    }
}
