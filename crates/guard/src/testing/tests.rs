//! The suite finds what it is there to find: each guard here breaks one rule.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tower_service::Service;

use super::contract::{self, Call, Inner, Request, Response, examine};
use super::{Failure, TRANSIENT};
use crate::Error;

type Answer = Result<Response, Error<Failure>>;

/// What is wrong with a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    CallsAClone,
    SharesReadiness,
    IsAlwaysReady,
    WakesNobodyForReadiness,
    KeepsUnusedReadiness,
    ForgetsDroppedCalls,
    ForgetsCallsNeverPolled,
    KeepsPermitsOfEndedCalls,
    ReturnsPermitsOfEndedCallsOnly,
    NeedsItsService,
    WakesWhoeverPolledFirst,
    ChangesAnswers,
    ChangesFailures,
    HidesFailuresToBecomeReady,
}

/// A guard with a limit on concurrency, and a flaw.
struct Flawed {
    inner: ManuallyDrop<Inner>,
    shared: Arc<Mutex<Inner>>,
    permits: Arc<AtomicUsize>,
    alive: Arc<()>,
    flaw: Flaw,
}

impl Flawed {
    fn new(inner: Inner, flaw: Flaw) -> Self {
        Self {
            shared: Arc::new(Mutex::new(inner.clone())),
            inner: ManuallyDrop::new(inner),
            permits: Arc::new(AtomicUsize::new(8)),
            alive: Arc::default(),
            flaw,
        }
    }
}

impl Clone for Flawed {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
            permits: Arc::clone(&self.permits),
            alive: Arc::default(),
            flaw: self.flaw,
        }
    }
}

impl Drop for Flawed {
    fn drop(&mut self) {
        if self.flaw != Flaw::KeepsUnusedReadiness {
            let inner = self.inner.clone();
            drop(ManuallyDrop::into_inner(std::mem::replace(&mut self.inner, inner)));
        }
    }
}

impl Service<Request> for Flawed {
    type Response = Response;
    type Error = Error<Failure>;
    type Future = FlawedFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.permits.load(Ordering::Relaxed) == 0 {
            return Poll::Pending;
        }
        match self.flaw {
            Flaw::SharesReadiness => self.shared.lock().poll_ready(cx),
            Flaw::IsAlwaysReady => {
                let _ = self.inner.poll_ready(cx);
                Poll::Ready(Ok(()))
            }
            Flaw::WakesNobodyForReadiness => self.inner.poll_ready(&mut Context::from_waker(Waker::noop())),
            Flaw::HidesFailuresToBecomeReady => {
                let _ = ready!(self.inner.poll_ready(cx));
                Poll::Ready(Ok(()))
            }
            _ => self.inner.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let call = match self.flaw {
            Flaw::CallsAClone => (*self.inner).clone().call(request),
            Flaw::SharesReadiness => self.shared.lock().call(request),
            _ => self.inner.call(request),
        };
        self.permits.fetch_sub(1, Ordering::Relaxed);
        FlawedFuture {
            call: Some(call),
            permits: Arc::clone(&self.permits),
            service: Arc::downgrade(&self.alive),
            first: None,
            ended: false,
            flaw: self.flaw,
        }
    }
}

struct FlawedFuture {
    call: Option<Call>,
    permits: Arc<AtomicUsize>,
    service: Weak<()>,
    first: Option<Waker>,
    ended: bool,
    flaw: Flaw,
}

impl FlawedFuture {
    fn give_back(&self) {
        self.permits.fetch_add(1, Ordering::Relaxed);
    }
}

impl Future for FlawedFuture {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        if self.flaw == Flaw::NeedsItsService && self.service.strong_count() == 0 {
            return Poll::Pending;
        }
        let first = self.first.get_or_insert_with(|| cx.waker().clone()).clone();
        let waker = if self.flaw == Flaw::WakesWhoeverPolledFirst { &first } else { cx.waker() };
        let call = Pin::new(self.call.as_mut().expect("it is there until it is dropped"));
        let answer = ready!(call.poll(&mut Context::from_waker(waker)));
        self.ended = true;
        if self.flaw != Flaw::KeepsPermitsOfEndedCalls {
            self.give_back();
        }
        Poll::Ready(match self.flaw {
            Flaw::ChangesAnswers => answer.map(|_| http::Response::new(0)),
            Flaw::ChangesFailures => answer.map_err(|_| TRANSIENT),
            _ => answer,
        })
    }
}

impl Drop for FlawedFuture {
    fn drop(&mut self) {
        let never_polled = self.first.is_none();
        match self.flaw {
            Flaw::ForgetsDroppedCalls if !never_polled => std::mem::forget(self.call.take()),
            Flaw::ForgetsCallsNeverPolled if never_polled => std::mem::forget(self.call.take()),
            _ => {}
        }
        let keeps = self.flaw == Flaw::KeepsPermitsOfEndedCalls;
        if (keeps || !self.ended) && self.flaw != Flaw::ReturnsPermitsOfEndedCallsOnly {
            self.give_back();
        }
    }
}

macro_rules! caught {
    ($($name:ident: $flaw:ident by $rule:ident)*) => {
        $(
            #[test]
            fn $name() {
                let kept = examine(|inner| Flawed::new(inner, Flaw::$flaw), contract::$rule);
                let broken = kept.expect_err("the flaw goes unnoticed");
                println!("{broken}");
            }
        )*
    };
}

caught! {
    catches_a_call_of_a_clone: CallsAClone by the_service_is_polled_ready_before_each_call
    catches_shared_readiness: SharesReadiness by clones_are_independent
    catches_readiness_made_up: IsAlwaysReady by a_service_that_is_not_ready_is_waited_for
    catches_a_lost_waker: WakesNobodyForReadiness by a_service_that_is_not_ready_is_waited_for
    catches_readiness_kept: KeepsUnusedReadiness by a_readiness_that_is_not_used_is_given_back
    catches_dropped_calls_that_go_on: ForgetsDroppedCalls by a_dropped_call_gives_back_what_it_held
    catches_calls_that_go_on: ForgetsCallsNeverPolled by a_call_that_is_never_polled_gives_back_what_it_held
    catches_permits_kept: KeepsPermitsOfEndedCalls by a_call_that_ended_holds_nothing
    catches_permits_leaked_by_a_drop: ReturnsPermitsOfEndedCallsOnly by a_dropped_call_gives_back_what_it_held
    catches_permits_leaked_unpolled: ReturnsPermitsOfEndedCallsOnly by a_call_that_is_never_polled_gives_back_what_it_held
    catches_permits_leaked_by_a_panic: ReturnsPermitsOfEndedCallsOnly by a_call_that_panics_gives_back_what_it_held
    catches_a_call_tied_to_its_service: NeedsItsService by a_call_outlives_its_service
    catches_an_outdated_waker: WakesWhoeverPolledFirst by whoever_waits_is_woken
    catches_a_changed_answer: ChangesAnswers by an_answer_passes_through
    catches_a_changed_failure: ChangesFailures by a_failure_passes_through
    catches_a_hidden_failure: HidesFailuresToBecomeReady by a_failure_to_become_ready_passes_through
}

mod without_a_flaw {
    use super::{Flaw, Flawed};

    crate::tower_contract! { |inner| Flawed::new(inner, Flaw::None) }
}

mod with_an_exception {
    use super::{Flaw, Flawed};

    crate::tower_contract! {
        |inner| Flawed::new(inner, Flaw::IsAlwaysReady);
        except
            a_service_that_is_not_ready_is_waited_for: "it pretends",
            a_failure_to_become_ready_passes_through: "it hides it"
    }
}
