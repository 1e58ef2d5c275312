//! What is read and not decided on: it hears of events through the bus, and is rebuilt from the log at start.

mod totals;

pub use totals::Snapshot;
pub use totals::Totals;
