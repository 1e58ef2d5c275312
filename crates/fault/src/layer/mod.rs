//! The layer that applies faults to calls over `http::Request`, which is HTTP and gRPC alike.
//!
//! Put it innermost, so that the guards around it meet the fault as they would meet the real thing. The inner
//! service is called as soon as the layer is, unless the call is to fail; a delay holds back the first poll of its
//! future. So the layer keeps the contract of readiness by passing both halves through, needs no clone of the
//! service, and costs nothing for requests that are not delayed. What a service does before its future is polled
//! is not delayed: that of an async handler is nothing.
//!
//! Idle, a call loads one flag, stores and later tests which course its future takes: eight instructions that cost
//! three or four more than the bare call when merged with the stack around them, which `tests/idle_cost.rs` counts.
//! Where the compiler keeps the layer a function of its own, the frame of that function adds some twenty.

mod answer;
mod effect;
mod future;
mod service;

pub use self::answer::LEASE_HEADER;
pub use self::future::ResponseFuture;
pub use self::service::FaultLayer;
pub use self::service::FaultService;
