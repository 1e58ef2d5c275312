//! Guards in their right order, as one layer: named in any order, checked, shown, and changed while calls run.
//!
//! A stack has places, and their order is not for anybody to get wrong. Outgoing calls, outermost first:
//!
//! | place | why there |
//! |---|---|
//! | fallback | substitutes also for what the guards below refuse |
//! | deadline | bounds all attempts and the waits between them |
//! | hedge | each of the two attempts is repeated, paid for and limited by itself |
//! | retry | repeats what the guards below refuse for a while, too |
//! | rate limit, bulkhead, shed | count attempts, for those are what the callee has to bear |
//! | breaker | sees each attempt that is made, and none that was refused for want of room |
//! | timeout | what it gives up the breaker sees as a failure |
//!
//! Incoming calls, outermost first:
//!
//! | place | why there |
//! |---|---|
//! | server timing | sees all the time that an answer took |
//! | deadline | what waits below knows how long it may |
//! | rate limit by key | who asks too often is told so, takes nothing of the quota of all, and gets no substitute |
//! | fallback | substitutes for what fails, and for what is refused for want of room |
//! | rate limit, bulkhead, shed | bound what the handler has to bear |
//! | refusal of expired calls | behind all that makes calls wait |
//!
//! # What is refused
//! A guard that is named twice, a retry, a hedge or a refusal of expired calls without a deadline, and a hedge or a retry
//! without a budget do not compile. What types cannot see, [`build`](Outgoing::build) refuses by an [`Error`] that names
//! guard and setting and says how to mend it: an attempt that may take longer than all of them, a wait that ends after the
//! deadline, calls that are slow only after they were given up, limits that contradict each other.
//!
//! ```compile_fail
//! use steadfast_guard::RetryPolicy;
//! use steadfast_guard::stack::{BudgetPolicy, Stack};
//!
//! // error: a stack with this guard needs a deadline
//! let stack = Stack::outgoing("payment").retry(RetryPolicy::default(), BudgetPolicy::default()).build();
//! ```
//!
//! # Changes
//! [`Stack::apply`] changes everything while calls run, also whether a guard is there, if it was named. It takes the same
//! settings that a document gives ([`OutgoingSettings`], [`IncomingSettings`]); a stack that is to be set by a document
//! alone is made by [`configured`](Outgoing::configured). What a fallback substitutes and what the key of a request is are
//! code: they are named when the stack is built, and settings switch them.
//!
//! # What it costs
//! One look at a number for each call, to see whether something has changed, and one at a flag for each place. Guards
//! that are not named are not there. Nothing is allocated and nothing is boxed.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use steadfast_guard::breaker::Phase;
//! use steadfast_guard::stack::{BudgetPolicy, DeadlineSettings, Stack};
//! use steadfast_guard::{BreakerPolicy, Error, RetryPolicy};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stack = Stack::outgoing("payment")
//!     .breaker(BreakerPolicy::default())
//!     .retry(RetryPolicy::default(), BudgetPolicy::default())
//!     .deadline(DeadlineSettings::measured(Duration::from_secs(3)))
//!     .timeout(Duration::from_millis(500))
//!     .build()?;
//! assert_eq!(
//!     stack.to_string(),
//!     "\
//! deadline      3s by default; what is measured kept back
//! retry         3 attempts; waits from 50ms, times 2, to 2s, full jitter, what is asked for up to 1m; budget of 20% and 10/s
//! breaker       opens at 50% failed of the last 100 calls (20 at least), at 20 failed in a row; 3 probes after 1s, within 5s
//! timeout       500ms an attempt"
//! );
//!
//! let payment = stack.layer(service_fn(|_: http::Request<()>| async {
//!     Ok::<_, Error<std::convert::Infallible>>(http::Response::new(()))
//! }));
//! assert_eq!(payment.oneshot(http::Request::new(())).await?.status(), 200);
//! assert_eq!(stack.breaker().map(|breaker| breaker.phase()), Some(Phase::Closed));
//! # Ok(())
//! # }
//! ```

mod chain;
mod current;
mod error;
mod form;
mod handle;
mod incoming;
mod lines;
mod outgoing;
mod pass;
pub mod places;
mod rules;
mod service;
mod settings;
mod switch;
#[cfg(test)]
mod tests;
mod within;

pub use chain::Absent;
pub use chain::AllNamed;
pub use chain::Chain;
pub use chain::Innermost;
pub use chain::Named;
pub use chain::Place;
pub use current::Current;
pub use current::Parts;
pub use error::Error;
pub use handle::Flat;
pub use handle::Stack;
pub use handle::StackSettings;
pub use incoming::AllIncoming;
pub use incoming::Incoming;
pub use incoming::IncomingPlaces;
pub use incoming::IncomingStack;
pub use outgoing::AllOutgoing;
pub use outgoing::Outgoing;
pub use outgoing::OutgoingStack;
pub use outgoing::Places;
pub use service::StackService;
pub use settings::BudgetPolicy;
pub use settings::DeadlineSettings;
pub use settings::HedgeSettings;
pub use settings::IncomingSettings;
pub use settings::KeyedRateLimitSettings;
pub use settings::OutgoingSettings;
pub use settings::RateLimitSettings;
pub use settings::RetrySettings;
pub use switch::Adjust;
pub use switch::Pass;
pub use switch::Refresh;
pub use switch::Switch;
pub use within::WithinDeadline;
