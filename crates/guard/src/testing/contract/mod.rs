//! The contract of tower as rules that a guard keeps or breaks; see [`tower_contract!`](crate::tower_contract).

mod broken;
mod control;
mod inner;
mod rules;
mod waker;

pub use broken::Broken;
pub use control::Control;
pub use inner::Call;
pub use inner::Inner;
pub use rules::*;

use std::future::Future;

use tower_service::Service;

use super::Failure;
use crate::Error;

/// The request that the suite sends; its body is the number of the call.
pub type Request = http::Request<u32>;
/// The answer to a call; its body is the number of the call that it answers.
pub type Response = http::Response<u32>;

/// A guarded service that the suite can examine; every service of the right types is one.
pub trait Guarded:
    Service<Request, Response = Response, Error = Error<Failure>, Future = Self::Answer> + Clone + Send + 'static
{
    /// The future of a call.
    type Answer: Future<Output = Result<Response, Error<Failure>>> + Send + 'static;
}

impl<S> Guarded for S
where
    S: Service<Request, Response = Response, Error = Error<Failure>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Answer = S::Future;
}

/// Runs one rule on the guard that `build` puts around an [`Inner`], within a runtime that has timers.
///
/// # Errors
/// [`Broken`] when the guard breaks the rule.
///
/// # Panics
/// When no runtime can be made.
pub fn examine<S: Guarded>(
    build: impl FnOnce(Inner) -> S,
    rule: impl FnOnce(S, &Control) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let control = Control::new();
    rule(build(control.inner()), &control)?;
    control.violations()
}

/// Makes one test of each rule of tower's contract, for the guard that the closure builds around the service it is
/// given; see [the module](crate::testing).
///
/// Rules that the guard breaks on purpose are named behind `except`, each with its reason.
#[macro_export]
macro_rules! tower_contract {
    ($build:expr $(; except $($rule:ident: $reason:literal),+ $(,)?)?) => {
        $crate::tower_contract! { @rules [$($($rule)+)?] $build =>
            the_service_is_polled_ready_before_each_call
            a_service_that_is_not_ready_is_waited_for
            a_readiness_that_is_not_used_is_given_back
            a_dropped_call_gives_back_what_it_held
            a_call_that_is_never_polled_gives_back_what_it_held
            a_call_that_ended_holds_nothing
            a_call_that_panics_gives_back_what_it_held
            clones_are_independent
            a_call_outlives_its_service
            whoever_waits_is_woken
            an_answer_passes_through
            a_failure_passes_through
            a_failure_to_become_ready_passes_through
        }
    };
    (@rules $except:tt $build:expr => $($rule:ident)*) => {
        const EXCEPT: &[&str] = $crate::tower_contract! { @names $except };
        const RULES: &[&str] = &[$(stringify!($rule)),*];

        #[test]
        fn exceptions_are_rules_of_the_contract() {
            assert!(EXCEPT.iter().all(|name| RULES.contains(name)), "{EXCEPT:?}");
        }

        $(
            #[test]
            fn $rule() {
                // What is broken on purpose must be broken, else the exception is not needed.
                let kept = $crate::testing::contract::examine($build, $crate::testing::contract::$rule);
                match (EXCEPT.contains(&stringify!($rule)), kept) {
                    (false, Err(broken)) => panic!("{broken}"),
                    (true, Ok(())) => panic!("the rule is kept: take the exception away"),
                    (false, Ok(())) | (true, Err(_)) => {}
                }
            }
        )*
    };
    (@names [$($rule:ident)*]) => { &[$(stringify!($rule)),*] };
}
