//! What a run leaves for people and pipelines.

mod model;

pub use model::*;
