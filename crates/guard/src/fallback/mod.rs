//! Fallback: something else when the callee fails, and only then.
//!
//! - [`FallbackLayer::value`]: a value that is made on the spot;
//! - [`FallbackLayer::last_good`]: the last good answer to the same question, if it is not too old;
//!   [`FallbackLayer::last_good_marked`] says in it how old it is;
//! - [`FallbackLayer::degraded`]: another service, such as a cache or a simpler algorithm.
//!
//! It stands outermost: retries and breaker below it see the failures, and what they refuse is substituted too. What
//! counts as a failure says [`Classify`](steadfast_base::Classify); an answer that the caller has brought on itself is
//! none. How often something was substituted says [`FallbackLayer::substituted`]: alert on that, for whoever asks sees
//! no failure any more.
//!
//! Where there is no substitute, the caller gets the failure of the callee. Nothing is refused by this guard, so it has
//! no error.

mod degraded;
mod future;
mod last_good;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;
mod value;

pub use degraded::Degraded;
pub use degraded::DegradedFuture;
pub use future::FallbackFuture;
pub use last_good::LastGood;
pub use layer::FallbackLayer;
pub use policy::LastGoodPolicy;
pub use policy::Substitute;
pub use policy::Substituted;
pub use service::FallbackService;
pub use value::Value;
