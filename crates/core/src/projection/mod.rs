//! Projections: views that are made of events, and keep up with them.
//!
//! A [`View`] holds what events have made, and up to which [`Position`](crate::store::Position) it does. Where the
//! view's place can, it takes events and position in one transaction; then each event counts exactly once, whatever is
//! killed when. Where it cannot, it leaves out what it has seen, by position. The [`Projector`] brings it events in
//! bounded memory, first those that are stored, then those to come, and holds to a stated [policy](Poison) where one
//! cannot be applied. A new view is [rebuilt](Projector::rebuild) beside the one that is read, and takes its place when
//! it has caught up.

mod batch;
mod error;
mod follow;
mod lag;
mod memory;
mod metrics;
mod poison;
mod probe;
mod projector;
mod settings;
#[cfg(test)]
mod tests;
mod view;

pub use error::Error;
pub use lag::Lag;
pub use memory::MemoryView;
pub use metrics::ProjectionMetrics;
pub use poison::Poison;
pub use probe::Probe;
pub use projector::Projector;
pub use settings::Settings;
pub use view::ApplyError;
pub use view::View;
pub use view::ViewError;
