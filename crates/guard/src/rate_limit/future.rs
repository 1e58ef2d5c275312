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

pin_project! {
    /// The answer of a [`RateLimitService`](super::RateLimitService). Dropping it drops the call, or gives the permits
    /// back if the call was still waiting.
    #[must_use = "futures do nothing unless polled"]
    pub struct RateLimitFuture<S, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        admission: Admission<S, Req>,
    }
}

impl<S: Service<Req>, Req> RateLimitFuture<S, Req> {
    pub(super) fn new(admission: Admission<S, Req>) -> Self {
        Self { admission }
    }

    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: S::Future) -> Self {
        let decision = Decision::from_parts(0, Duration::ZERO);
        Self { admission: Admission::Calling { call, decision } }
    }
}

impl<S, Req> Future for RateLimitFuture<S, Req>
where
    S: Service<Req>,
    S::Error: From<Rejection>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().admission.poll(cx)) {
            Ok((_, result)) => result,
            Err(error) => Err(Rejection::RateLimited(error).into()),
        })
    }
}

pin_project! {
    /// A call that is made when the limit allows it. Ends with the call's result, or with the limiter's refusal.
    #[project = AdmissionProjection]
    pub(super) enum Admission<S, Req>
    where
        S: Service<Req>,
    {
        Calling { #[pin] call: S::Future, decision: Decision },
        Waiting { #[pin] turn: Sleep, waiting: Option<Waiting<S, Req>> },
        Readying { waiting: Option<Waiting<S, Req>> },
        Refused { error: Error },
    }
}

/// A call that was not made yet.
pub(super) struct Waiting<S, Req> {
    /// A clone, so that waiting does not keep what the service reserved when it was polled ready.
    service: S,
    request: Req,
    reservation: Reservation,
}

impl<S: Service<Req>, Req> Admission<S, Req> {
    /// Makes the call now, or begins to wait, or refuses it. `ready` was polled ready.
    #[inline]
    pub(super) fn new<L: Limit<Req>>(ready: &mut S, request: Req, limit: &L, policy: RateLimitPolicy) -> Self
    where
        S: Clone,
        Req: steadfast_base::Context,
    {
        let wait_max = if policy.wait_max.is_zero() {
            Duration::ZERO
        } else {
            request
                .deadline()
                .map_or(policy.wait_max, |deadline: Deadline| policy.wait_max.min(deadline.remaining()))
        };
        let now = Instant::now();
        match limit.reserve(&request, wait_max, now) {
            Ok(reservation) if reservation.ready_at() <= now => {
                let decision = reservation.decision();
                reservation.spend();
                Self::Calling { call: ready.call(request), decision }
            }
            Ok(reservation) => Self::Waiting {
                turn: sleep_until(reservation.ready_at()),
                waiting: Some(Waiting { service: ready.clone(), request, reservation }),
            },
            Err(error) => Self::Refused { error },
        }
    }
}

impl<S: Service<Req>, Req> Future for Admission<S, Req> {
    type Output = Result<(Decision, Result<S::Response, S::Error>), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                AdmissionProjection::Calling { call, decision } => {
                    let result = ready!(call.poll(cx));
                    return Poll::Ready(Ok((*decision, result)));
                }
                AdmissionProjection::Waiting { turn, waiting } => {
                    ready!(turn.poll(cx));
                    Self::Readying { waiting: waiting.take() }
                }
                AdmissionProjection::Readying { waiting } => {
                    let Some(Waiting { service, reservation, .. }) = waiting else {
                        panic!("polled after it was ready");
                    };
                    let is_ready = ready!(service.poll_ready(cx));
                    let decision = reservation.decision();
                    let Some(Waiting { mut service, request, reservation }) = waiting.take() else {
                        unreachable!("it was there a moment ago");
                    };
                    if let Err(error) = is_ready {
                        return Poll::Ready(Ok((decision, Err(error))));
                    }
                    reservation.spend();
                    Self::Calling { call: service.call(request), decision }
                }
                AdmissionProjection::Refused { error } => return Poll::Ready(Err(*error)),
            };
            self.set(next);
        }
    }
}
