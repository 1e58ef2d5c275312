//! Answers say how long they took, for callers who measure what is lost on the way.

mod future;
mod layer;
mod service;

pub use future::ServerTimingFuture;
pub use layer::ServerTimingLayer;
pub use service::ServerTimingService;
