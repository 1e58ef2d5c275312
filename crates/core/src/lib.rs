//! Events, the bus that carries them, the state that they make, and the store that keeps them.
//!
//! Deciding is pure ([`Aggregate`]): `decide(state, command) -> events`, `evolve(state, event) -> state`.
//! Persisting is the store's job ([`store::EventStore`]), publishing the bus's, time and randomness are inputs.

mod aggregate;
pub mod bus;
pub mod cell;
pub mod cloudevents;
pub mod delivery;
pub mod encryption;
mod event;
pub mod inbox;
pub mod machine;
pub mod outbox;
#[cfg(test)]
mod patience;
pub mod process;
pub mod projection;
pub mod repository;
pub mod schedule;
pub mod snapshot;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transport;
mod upcast;

pub use aggregate::Aggregate;
pub use cell::Cell;
pub use cell::CellMap;
pub use event::Event;
pub use event::EventBuilder;
pub use event::EventId;
pub use machine::Machine;
pub use upcast::NotUpcast;
pub use upcast::Upcast;
