//! The answer of a call behind a breaker.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steadfast_base::{Class, Classify};

use super::Permit;
use crate::Rejection;

pin_project! {
    /// The answer of a [`BreakerService`](super::BreakerService). Dropping it drops the call, and gives the place of a
    /// probe to another.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct BreakerFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        Calling { #[pin] call: F, permit: Option<Permit> },
        Refused { rejection: Rejection },
    }
}

impl<F> BreakerFuture<F> {
    pub(super) fn calling(call: F, permit: Permit) -> Self {
        Self { state: State::Calling { call, permit: Some(permit) } }
    }

    /// A call that the guard has nothing to do with.
    #[inline]
    pub(crate) fn passing(call: F) -> Self {
        Self { state: State::Calling { call, permit: None } }
    }

    pub(super) fn refused(rejection: Rejection) -> Self {
        Self { state: State::Refused { rejection } }
    }
}

impl<F, R, E> Future for BreakerFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: Classify,
    E: Classify + From<Rejection>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Calling { call, permit } => {
                let result = ready!(call.poll(cx));
                if let Some(permit) = permit.as_mut() {
                    // Who says in time that there is no room is well: were it held against a callee that sheds load, the
                    // breaker would shut out what it can still do.
                    let class = result.classify();
                    let is_well = class.is_failure() && result.is_overload();
                    permit.set(if is_well { Class::Success } else { class });
                }
                *permit = None;
                Poll::Ready(result)
            }
            StateProjection::Refused { rejection } => Poll::Ready(Err((*rejection).into())),
        }
    }
}
