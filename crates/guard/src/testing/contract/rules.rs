//! The rules, one function each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use super::broken::expect;
use super::waker::{Task, call};
use super::{Broken, Control, Guarded, Response};
use crate::Error;
use crate::testing::{Failure, PERMANENT};

type Kept = Result<(), Broken>;

/// How often what could leak is tried; more than any place there is.
const ROUNDS: u32 = 32;

/// Checks that each clone of the service within is polled ready before each of its calls, and that a call goes
/// to it once.
///
/// # Errors
/// [`Broken`] when it is not.
pub fn the_service_is_polled_ready_before_each_call<S: Guarded>(mut service: S, control: &Control) -> Kept {
    for number in 0..8 {
        // Every other call is made by a clone of a service that is ready, which is the usual mistake.
        ready(&mut service)?;
        let mut clone = service.clone();
        let caller = if number % 2 == 0 {
            ready(&mut clone)?;
            &mut clone
        } else {
            &mut service
        };
        control.answer(number, answer(number));
        finish(call(caller, number).as_mut(), number)?;
        let arrived = control.arrived(number);
        expect(arrived == 1, || format!("call {number} reached the service within {arrived} times"))?;
    }
    Ok(())
}

/// Checks that the guard is not ready while the service within is not, and wakes whoever waits once it is.
///
/// # Errors
/// [`Broken`] when it is ready too early, or when nobody is woken.
pub fn a_service_that_is_not_ready_is_waited_for<S: Guarded>(mut service: S, control: &Control) -> Kept {
    control.set_capacity(0);
    let (outdated, task) = (Task::default(), Task::default());
    for asked in [&outdated, &task] {
        expect(asked.poll_ready(&mut service).is_pending(), || {
            "it is ready though the service within is not".to_owned()
        })?;
    }
    control.set_capacity(1);
    expect(task.is_woken(), || "nobody was woken when the service within became ready".to_owned())?;
    ready(&mut service)
}

/// Checks that a service that is dropped after it was ready gives its place back.
///
/// # Errors
/// [`Broken`] when the place stays taken.
pub fn a_readiness_that_is_not_used_is_given_back<S: Guarded>(service: S, control: &Control) -> Kept {
    control.set_capacity(1);
    for round in 0..ROUNDS {
        let mut clone = service.clone();
        ready(&mut clone)?;
        drop(clone);
        nothing_taken(control, || format!("after {round} clones were ready and dropped"))?;
    }
    works(service, control)
}

/// Checks that dropping a call while it is under way drops the call within, and gives back all that it held.
///
/// # Errors
/// [`Broken`] when something stays taken.
pub fn a_dropped_call_gives_back_what_it_held<S: Guarded>(mut service: S, control: &Control) -> Kept {
    control.set_capacity(1);
    for number in 0..ROUNDS {
        ready(&mut service)?;
        let mut future = call(&mut service, number);
        still_pending(future.as_mut())?;
        expect(control.arrived(number) == 1, || format!("call {number} did not reach the service within"))?;
        drop(future);
        nothing_taken(control, || format!("after call {number} was dropped"))?;
    }
    works(service, control)
}

/// Checks the same of a call that was never polled.
///
/// # Errors
/// [`Broken`] when something stays taken.
pub fn a_call_that_is_never_polled_gives_back_what_it_held<S: Guarded>(
    mut service: S,
    control: &Control,
) -> Kept {
    control.set_capacity(1);
    for number in 0..ROUNDS {
        ready(&mut service)?;
        drop(call(&mut service, number));
        nothing_taken(control, || format!("after call {number} was dropped without being polled"))?;
    }
    works(service, control)
}

/// Checks that a call that has ended holds nothing, though its future is still there.
///
/// # Errors
/// [`Broken`] when something stays taken.
pub fn a_call_that_ended_holds_nothing<S: Guarded>(mut service: S, control: &Control) -> Kept {
    control.set_capacity(1);
    let mut ended = Vec::new();
    for number in 0..ROUNDS {
        ready(&mut service)?;
        let result = if number % 2 == 0 { answer(number) } else { Err(PERMANENT) };
        control.answer(number, result);
        let mut future = call(&mut service, number);
        let _ = finished(future.as_mut())?;
        ended.push(future);
        nothing_taken(control, || format!("after call {number} had ended"))?;
    }
    works(service, control)
}

/// Checks that a call that panics gives back all that it held once its future is dropped, as tokio does.
///
/// # Errors
/// [`Broken`] when something stays taken.
pub fn a_call_that_panics_gives_back_what_it_held<S: Guarded>(mut service: S, control: &Control) -> Kept {
    control.set_capacity(1);
    for number in 0..ROUNDS / 2 {
        ready(&mut service)?;
        control.panic(number);
        let mut future = call(&mut service, number);
        let polled = catch_unwind(AssertUnwindSafe(|| Task::default().poll(future.as_mut())));
        expect(polled.is_err(), || "the panic of a call was swallowed".to_owned())?;
        drop(future);
        nothing_taken(control, || format!("after call {number} had panicked"))?;
    }
    works(service, control)
}

/// Checks that clones share no readiness, and that a call which hangs on one does not block another.
///
/// # Errors
/// [`Broken`] when they do.
pub fn clones_are_independent<S: Guarded>(mut first: S, control: &Control) -> Kept {
    control.set_capacity(2);
    ready(&mut first)?;
    let mut second = first.clone();
    ready(&mut second)?;
    let mut hanging = call(&mut first, 0);
    still_pending(hanging.as_mut())?;
    control.answer(1, answer(1));
    finish(call(&mut second, 1).as_mut(), 1)?;
    drop((second, first));
    control.answer(0, answer(0));
    finish(hanging.as_mut(), 0)
}

/// Checks that a call goes on after the service that made it is gone.
///
/// # Errors
/// [`Broken`] when it does not.
pub fn a_call_outlives_its_service<S: Guarded>(mut service: S, control: &Control) -> Kept {
    ready(&mut service)?;
    let mut future = call(&mut service, 0);
    still_pending(future.as_mut())?;
    drop(service);
    still_pending(future.as_mut())?;
    control.answer(0, answer(0));
    finish(future.as_mut(), 0)
}

/// Checks that the task which polled last is woken when the answer is there.
///
/// # Errors
/// [`Broken`] when it is not.
pub fn whoever_waits_is_woken<S: Guarded>(mut service: S, control: &Control) -> Kept {
    ready(&mut service)?;
    let mut future = call(&mut service, 0);
    let (outdated, task) = (Task::default(), Task::default());
    for asking in [&outdated, &task] {
        expect(asking.poll(future.as_mut()).is_pending(), || {
            "it answered before the service within".to_owned()
        })?;
    }
    control.answer(0, answer(0));
    expect(task.is_woken(), || "whoever polled last was not woken".to_owned())?;
    finish(future.as_mut(), 0)
}

/// Checks that each answer belongs to its request, whatever the order of the answers.
///
/// # Errors
/// [`Broken`] when it does not.
pub fn an_answer_passes_through<S: Guarded>(mut service: S, control: &Control) -> Kept {
    let mut calls = Vec::new();
    for number in 0..4 {
        ready(&mut service)?;
        let mut future = call(&mut service, number);
        still_pending(future.as_mut())?;
        calls.push((number, future));
    }
    for (number, mut future) in calls.into_iter().rev() {
        control.answer(number, answer(number));
        finish(future.as_mut(), number)?;
    }
    Ok(())
}

/// Checks that a failure of the service within is handed out as it is.
///
/// # Errors
/// [`Broken`] when it is not.
pub fn a_failure_passes_through<S: Guarded>(mut service: S, control: &Control) -> Kept {
    ready(&mut service)?;
    control.answer(0, Err(PERMANENT));
    let result = finished(call(&mut service, 0).as_mut())?.map(|response| *response.body());
    expect(result == Err(PERMANENT), || format!("a permanent failure became {result:?}"))
}

/// Checks that a service that fails to become ready makes the guard fail in the same way.
///
/// # Errors
/// [`Broken`] when it does not.
pub fn a_failure_to_become_ready_passes_through<S: Guarded>(mut service: S, control: &Control) -> Kept {
    control.fail_to_become_ready(PERMANENT);
    let polled = Task::default().poll_ready(&mut service);
    expect(polled == Poll::Ready(Err(PERMANENT)), || format!("a failure to become ready became {polled:?}"))
}

/// Returns the answer to call `number`.
fn answer(number: u32) -> Result<Response, Error<Failure>> {
    Ok(http::Response::new(number))
}

/// Polls the service ready, which must succeed at once.
fn ready<S: Guarded>(service: &mut S) -> Kept {
    let polled = Task::default().poll_ready(service);
    expect(polled == Poll::Ready(Ok(())), || {
        format!("it should be ready, but poll_ready returned {polled:?}")
    })
}

/// Makes one more call after all that was done, with one place.
fn works<S: Guarded>(mut service: S, control: &Control) -> Kept {
    const LAST: u32 = u32::MAX;
    ready(&mut service)?;
    control.answer(LAST, answer(LAST));
    finish(call(&mut service, LAST).as_mut(), LAST)
}

fn nothing_taken(control: &Control, when: impl FnOnce() -> String) -> Kept {
    let taken = control.taken();
    expect(taken == 0, || format!("{taken} places of the service within are taken {}", when()))
}

fn still_pending<F: Future>(future: Pin<&mut F>) -> Kept {
    let polled = Task::default().poll(future);
    expect(polled.is_pending(), || "a call ended before the service within answered".to_owned())
}

/// Polls a call that the service within has answered.
fn finished<F: Future>(future: Pin<&mut F>) -> Result<F::Output, Broken> {
    match Task::default().poll(future) {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => Err(Broken("a call does not end though the service within answered".to_owned())),
    }
}

/// The same for a call that must succeed with its own answer.
fn finish<F>(future: Pin<&mut F>, number: u32) -> Kept
where
    F: Future<Output = Result<Response, Error<Failure>>>,
{
    let result = finished(future)?.map(|response| *response.body());
    expect(result == Ok(number), || format!("call {number} ended in {result:?}"))
}
