use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::effect::Effect;

pin_project! {
    /// The answer of a [`FaultService`](super::FaultService).
    ///
    /// Without a fault it is the inner future and nothing else: no allocation, one comparison for each poll.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        course: Course<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = CourseProjection]
    enum Course<F> {
        Idle { #[pin] inner: F },
        Affected { #[pin] inner: F, effect: Box<Effect> },
        Failing { effect: Box<Effect> },
    }
}

impl<F> ResponseFuture<F> {
    #[inline(always)]
    pub(super) fn idle(inner: F) -> Self {
        Self { course: Course::Idle { inner } }
    }

    pub(super) fn affected(inner: F, effect: Box<Effect>) -> Self {
        Self { course: Course::Affected { inner, effect } }
    }

    pub(super) fn failing(effect: Box<Effect>) -> Self {
        Self { course: Course::Failing { effect } }
    }
}

impl<F, RB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
    RB: Default,
{
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.as_mut().project().course.project() {
            CourseProjection::Idle { inner } => inner.poll(cx),
            _ => self.poll_affected(cx),
        }
    }
}

impl<F, RB, E> ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
    RB: Default,
{
    #[cold]
    #[inline(never)]
    fn poll_affected(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().course.project() {
            CourseProjection::Idle { inner } => inner.poll(cx),
            CourseProjection::Affected { inner, effect } => {
                ready!(effect.poll_delay(cx));
                inner.poll(cx)
            }
            CourseProjection::Failing { effect } => {
                ready!(effect.poll_delay(cx));
                Poll::Ready(Ok(effect.answer()))
            }
        }
    }
}
