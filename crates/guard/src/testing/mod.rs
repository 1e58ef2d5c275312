//! What tests of guards share; behind the feature `testing`.
//!
//! # The contract of tower
//! Every guard, ours or yours, passes one suite: it polls the service within ready before each call, gives back what
//! a dropped call held, its clones are independent, it wakes whoever waits, and it passes on what it does not guard
//! against. [`tower_contract!`](crate::tower_contract) makes one test of each rule:
//!
//! ```
//! # mod tests {
//! use std::time::Duration;
//! use steadfast_guard::DeadlineLayer;
//! use tower::Layer;
//!
//! steadfast_guard::tower_contract! {
//!     // Takes the service within and returns the guarded one; called anew for each rule.
//!     |inner| DeadlineLayer::new(Duration::ZERO, Duration::from_secs(60)).layer(inner)
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! The guard must be generous: let 64 calls through, 8 of them at once, without a wait, and pass on the
//! failure [`PERMANENT`]. The suite sends [`Request`]s without a deadline and needs no paused clock. A rule that a guard
//! breaks on purpose is named, with the reason:
//!
//! ```ignore
//! tower_contract! {
//!     |inner| ShedLayer::new(policy()).layer(inner);
//!     except a_service_that_is_not_ready_is_waited_for: "it refuses instead"
//! }
//! ```
//!
//! | rule | what it finds |
//! |---|---|
//! | `the_service_is_polled_ready_before_each_call` | a call of a clone that was never asked, a readiness used twice |
//! | `a_service_that_is_not_ready_is_waited_for` | back-pressure that is swallowed, a waker that is not passed on |
//! | `a_readiness_that_is_not_used_is_given_back` | a service dropped after it was ready that keeps its place |
//! | `a_dropped_call_gives_back_what_it_held` | a leaked permit, a call that goes on |
//! | `a_call_that_is_never_polled_gives_back_what_it_held` | the same, of a guard that begins in `call` |
//! | `a_call_that_ended_holds_nothing` | a permit kept until the future is dropped |
//! | `a_call_that_panics_gives_back_what_it_held` | a permit that only the normal end returns |
//! | `clones_are_independent` | readiness that is shared, a call that blocks others |
//! | `a_call_outlives_its_service` | a future that needs the service it came from |
//! | `whoever_waits_is_woken` | an answer that nobody hears of, an outdated waker |
//! | `an_answer_passes_through` | a request or response that is changed |
//! | `a_failure_passes_through` | an error that is swallowed or changed |
//! | `a_failure_to_become_ready_passes_through` | the same of `poll_ready` |
//!
//! # Callees
//! [`Callee`] answers by a script; [`contract::Inner`] answers when the test says so; [`bare::Bare`] answers as cheaply
//! as can be, for measuring. [`overload`] is a model of a server and its callers.

pub mod bare;
mod callee;
pub mod contract;
pub mod overload;
#[cfg(test)]
mod tests;

pub use callee::Answer;
pub use callee::Callee;
pub use callee::Failure;
pub use callee::PERMANENT;
pub use callee::Request;
pub use callee::TRANSIENT;
pub use callee::success;
