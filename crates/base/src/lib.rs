//! What every crate of Steadfast shares, and nothing more: time, deadlines, request context, error classes,
//! back-off, budgets, seeds, file I/O that can fail on purpose, and units with source positions.
//!
//! The crate is the bottom of the dependency graph: it names no transport, no store and no runtime beyond the
//! timer of tokio. Everything random or timed in Steadfast is drawn from here, so that a failed run is a
//! [`Seed`] which anyone can replay.

mod backoff;
mod budget;
mod classify;
mod clock;
mod context;
mod deadline;
pub mod disk;
mod priority;
mod pushback;
mod seed;
mod trace;
pub mod units;

pub use backoff::Backoff;
pub use backoff::Jitter;
pub use budget::Budget;
pub use classify::Class;
pub use classify::Classify;
pub use clock::Clock;
pub use clock::ManualClock;
pub use clock::SystemClock;
pub use clock::TokioClock;
pub use context::Context;
pub use context::ContextMut;
pub use deadline::Deadline;
pub use deadline::DeadlineExceeded;
pub use priority::Priority;
pub use priority::UnknownPriority;
pub use pushback::Pushback;
pub use pushback::pushback;
pub use seed::Rng;
pub use seed::Seed;
pub use trace::InvalidTraceParent;
pub use trace::TraceContext;
