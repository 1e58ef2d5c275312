//! Calls whose time has passed while they waited are refused before they start.

mod future;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use future::RefuseExpiredFuture;
pub use layer::ExpiredCounts;
pub use layer::RefuseExpiredLayer;
pub use policy::RefuseExpiredPolicy;
pub use service::RefuseExpiredService;
