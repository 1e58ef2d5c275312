//! What a running program is doing, for whoever may ask: off unless the program mounts it, and behind a token.
//!
//! | route | answers |
//! |---|---|
//! | `GET /diagnostics` | the kinds that there are, and how many of each |
//! | `GET /diagnostics/KIND` | all of a kind: `scopes` with their oldest tasks, `workers`, `pools`, `breakers`, `bulkheads`, `sheds`, `hedges`, `shared-rate-limits`, `topics`, and whatever else [`Diagnose`] was implemented for |
//! | `GET /diagnostics/runtime?seconds=1` | the runtime for a while: busy workers, how long what can run waits, allocations |
//! | `GET /diagnostics/profile?seconds=5&perSecond=99&format=svg` | what the processor does, as a flame graph (`svg`) or as text (`folded`) |
//!
//! Asking cannot hurt the program. There is one answer at a time of each sort (lists, runtime, profile); who asks
//! meanwhile gets 429 with `Retry-After`. Lists are given at most [ten times a second](LISTS_PER_SECOND), times and
//! rates are cut to what is stated with each route, and what can be many is counted and shown in part. Nothing runs
//! while nobody asks.
//!
//! A profile samples stacks on a timer of processor time: what waits is not in it. It needs the program's symbols:
//! build with `strip = "debuginfo"`, not `"symbols"`. No sample is taken in the C library, where a signal must not
//! interfere with locks; what is done there, such as system calls and copying, is missing.
//!
//! # Examples
//! ```no_run
//! use steadfast::diagnostics::{Diagnostics, Token};
//! use steadfast::guard::{Registry, Scope, ScopePolicy};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let (scope, breakers) = (Scope::new("work", ScopePolicy::default()), Registry::default());
//! let diagnostics = Diagnostics::new(Token::from_file("/run/secrets/diagnostics")?);
//! diagnostics.register_scope(&scope);
//! diagnostics.register_breakers(breakers);
//! let router: axum::Router = axum::Router::new().merge(diagnostics.router());
//! # Ok(())
//! # }
//! ```

mod allocations;
#[cfg(feature = "core")]
mod bus;
mod diagnose;
mod flame;
mod guards;
mod list;
mod query;
mod routes;
mod runtime;
#[allow(unsafe_code, reason = "a handler of signals can be written in no other way")]
mod sampler;
mod stacks;
#[cfg(test)]
mod tests;
mod token;

pub use allocations::Allocated;
pub use allocations::CountingAllocator;
pub use diagnose::Diagnose;
pub use list::Diagnostics;
pub use routes::LISTS_PER_SECOND;
pub use token::Token;
pub use token::TokenError;
