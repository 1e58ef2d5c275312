//! Incoming requests get the deadline that their caller states.

mod layer;
mod service;

pub use layer::ServerDeadlineLayer;
pub use service::ServerDeadlineService;
