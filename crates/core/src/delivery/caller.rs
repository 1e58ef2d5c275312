use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use steadfast_base::Classify;
use tower::Service;

use super::cause::Failed;
use super::{Cause, Delivery};

/// A handler of single deliveries or of batches, so that the rest of the module need not know which.
pub(super) trait Caller<T> {
    type Future: Future;

    /// How many deliveries one call takes at most, and how long a call waits for more than one.
    fn batch(&self) -> (usize, Duration);

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>>;

    /// Calls the handler with `deliveries`, of which there is one at least.
    fn call(&mut self, deliveries: impl Iterator<Item = Delivery<T>>) -> Self::Future;

    fn outcome(output: <Self::Future as Future>::Output) -> Result<(), Failed>;
}

/// A handler that takes one delivery at a time.
pub(super) struct Single<S>(pub(super) S);

/// A handler that takes many deliveries at a time.
pub(super) struct Batched<S> {
    pub(super) service: S,
    pub(super) size_max: usize,
    pub(super) within: Duration,
}

impl<T, S> Caller<T> for Single<S>
where
    S: Service<Delivery<T>>,
    S::Error: Classify + Display,
{
    type Future = S::Future;

    fn batch(&self) -> (usize, Duration) {
        (1, Duration::ZERO)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.0.poll_ready(cx).map_err(|error| Failed::of_error(&error))
    }

    fn call(&mut self, mut deliveries: impl Iterator<Item = Delivery<T>>) -> Self::Future {
        self.0.call(deliveries.next().expect("a call is made for one delivery"))
    }

    fn outcome(output: Result<S::Response, S::Error>) -> Result<(), Failed> {
        output.map(drop).map_err(|error| Failed::of_error(&error))
    }
}

impl<T, S> Caller<T> for Batched<S>
where
    S: Service<Vec<Delivery<T>>>,
    S::Error: Classify + Display,
{
    type Future = S::Future;

    fn batch(&self) -> (usize, Duration) {
        (self.size_max.max(1), self.within)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.service.poll_ready(cx).map_err(|error| Failed::of_error(&error))
    }

    fn call(&mut self, deliveries: impl Iterator<Item = Delivery<T>>) -> Self::Future {
        self.service.call(deliveries.collect())
    }

    fn outcome(output: Result<S::Response, S::Error>) -> Result<(), Failed> {
        output.map(drop).map_err(|error| Failed::of_error(&error))
    }
}

/// Asks whether the handler can be called; a panic is a failure.
pub(super) fn poll_ready<T, C: Caller<T>>(caller: &mut C, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
    catch_unwind(AssertUnwindSafe(|| caller.poll_ready(cx)))
        .unwrap_or_else(|panic| Poll::Ready(Err(Failed::of_panic(panic))))
}

/// Calls the handler with `deliveries`, which it empties, and keeps its future in `slot`; a panic is a failure.
pub(super) fn call<T, C: Caller<T>>(
    caller: &mut C,
    deliveries: &mut Vec<Delivery<T>>,
    mut slot: Pin<&mut Option<C::Future>>,
) -> Result<(), Failed> {
    match catch_unwind(AssertUnwindSafe(|| caller.call(deliveries.drain(..)))) {
        Ok(future) => {
            slot.set(Some(future));
            Ok(())
        }
        Err(panic) => Err(Failed::of_panic(panic)),
    }
}

/// Polls the handler's future in `slot`; a panic is a failure.
pub(super) fn poll<T, C: Caller<T>>(
    slot: Pin<&mut Option<C::Future>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failed>> {
    let Some(future) = slot.as_pin_mut() else { return Poll::Ready(Err(Failed::transient(Cause::Dropped))) };
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(polled) => polled.map(C::outcome),
        Err(panic) => Poll::Ready(Err(Failed::of_panic(panic))),
    }
}

/// Drops the handler's future; a panic in that is no failure of anything.
pub(super) fn clear<F>(mut slot: Pin<&mut Option<F>>) {
    if catch_unwind(AssertUnwindSafe(|| slot.set(None))).is_err() {
        tracing::warn!("a handler panicked while its future was dropped");
    }
}
