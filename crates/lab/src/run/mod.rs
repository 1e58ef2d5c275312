//! One run of one experiment: `admit → start → baseline → inject → recover → check → verdict`.

mod progress;
mod verdict;

pub use progress::Event;
pub use progress::Progress;
pub use progress::Silent;
pub use progress::Snapshot;
pub use progress::StepSnapshot;
pub use verdict::most_severe;
