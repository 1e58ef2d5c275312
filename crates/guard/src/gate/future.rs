//! A call that is made when there is room for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steadfast_base::Deadline;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::{Entry, Gate, Permit, Refusal, Waiter};
use crate::Rejection;
use crate::unready::unready;

/// A guard that has a gate: what its permits are, and how it refuses.
pub(crate) trait Admit: Clone {
    type Permit;

    fn gate(&self) -> &std::sync::Arc<Gate>;

    /// Turns room into a permit, when the call is about to be made.
    fn admitted(&self, permit: Permit, deadline: Option<Deadline>) -> Self::Permit;

    fn refused(&self, refusal: Refusal) -> Rejection;
}

pin_project! {
    /// Ends with the permit and the call's result, or with the refusal.
    #[project = PassageProjection]
    pub(crate) enum Passage<S, Req, G>
    where
        S: Service<Req>,
        G: Admit,
    {
        Calling { #[pin] call: S::Future, permit: Option<G::Permit> },
        Queued { waiter: Option<Waiter>, #[pin] end: Sleep, queued: Option<Queued<S, Req, G>> },
        Readying { room: Option<Permit>, queued: Option<Queued<S, Req, G>> },
        Refused { rejection: Rejection },
        Ended,
    }
}

/// A call that was not made yet.
pub(crate) struct Queued<S, Req, G> {
    /// A clone, which is polled ready when there is room.
    service: S,
    request: Req,
    guard: G,
    deadline: Option<Deadline>,
}

impl<S, Req, G> Passage<S, Req, G>
where
    S: Service<Req> + Clone,
    Req: steadfast_base::Context,
    G: Admit,
{
    /// Makes the call now, or queues it, or refuses it. `ready` was polled ready; what it has reserved for that is given
    /// back where the call has to wait.
    #[inline]
    pub(crate) fn new(ready: &mut S, request: Req, guard: &G) -> Self {
        let deadline = request.deadline();
        match guard.gate().enter(request.priority()) {
            Entry::Admitted(room) => {
                let permit = guard.admitted(room, deadline);
                Self::Calling { call: ready.call(request), permit: Some(permit) }
            }
            Entry::Queued(waiter) => {
                let end = Deadline::within(waiter.wait_max());
                let end = deadline.map_or(end, |deadline| deadline.earliest(end));
                Self::Queued {
                    waiter: Some(waiter),
                    end: sleep_until(end.instant()),
                    queued: Some(Queued { service: unready(ready), request, guard: guard.clone(), deadline }),
                }
            }
            Entry::Refused(refusal) => Self::Refused { rejection: guard.refused(refusal) },
        }
    }
}

impl<S: Service<Req>, Req, G: Admit> Passage<S, Req, G> {
    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: S::Future) -> Self {
        Self::Calling { call, permit: None }
    }
}

impl<S, Req, G> Future for Passage<S, Req, G>
where
    S: Service<Req>,
    G: Admit,
{
    type Output = Result<(Option<G::Permit>, Result<S::Response, S::Error>), Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                PassageProjection::Calling { call, permit } => {
                    let result = ready!(call.poll(cx));
                    let permit = permit.take();
                    // The call is dropped before its room is given to another.
                    self.set(Self::Ended);
                    return Poll::Ready(Ok((permit, result)));
                }
                PassageProjection::Queued { waiter, end, queued } => {
                    let (Some(place), Some(Queued { guard, deadline, .. })) = (waiter.as_mut(), &*queued)
                    else {
                        panic!("polled after it was ready");
                    };
                    match place.poll(cx) {
                        Poll::Ready(Ok(room)) => Self::Readying { room: Some(room), queued: queued.take() },
                        Poll::Ready(Err(refusal)) => Self::Refused { rejection: guard.refused(refusal) },
                        Poll::Pending => {
                            ready!(end.poll(cx));
                            let rejection = match deadline {
                                Some(deadline) if deadline.instant() <= Instant::now() => {
                                    Rejection::DeadlineExceeded
                                }
                                _ => guard.refused(Refusal::Waited),
                            };
                            if let Some(waiter) = waiter.take() {
                                waiter.give_up();
                            }
                            Self::Refused { rejection }
                        }
                    }
                }
                PassageProjection::Readying { room, queued } => {
                    let Some(Queued { service, .. }) = queued else { panic!("polled after it was ready") };
                    let is_ready = ready!(service.poll_ready(cx));
                    let (Some(mut queued), Some(room)) = (queued.take(), room.take()) else {
                        unreachable!("they were there a moment ago");
                    };
                    if let Err(error) = is_ready {
                        drop(room);
                        self.set(Self::Ended);
                        return Poll::Ready(Ok((None, Err(error))));
                    }
                    if queued.deadline.is_some_and(Deadline::is_expired) {
                        Self::Refused { rejection: Rejection::DeadlineExceeded }
                    } else {
                        let permit = queued.guard.admitted(room, queued.deadline);
                        Self::Calling { call: queued.service.call(queued.request), permit: Some(permit) }
                    }
                }
                PassageProjection::Refused { rejection } => {
                    let rejection = *rejection;
                    self.set(Self::Ended);
                    return Poll::Ready(Err(rejection));
                }
                PassageProjection::Ended => panic!("polled after it was ready"),
            };
            self.set(next);
        }
    }
}
