//! What a run leaves for people and pipelines.

mod html;
mod junit;
mod model;
pub mod plot;
#[cfg(test)]
mod sample;
mod write;

pub use html::html;
pub use junit::junit;
pub use model::*;
pub use write::write;
