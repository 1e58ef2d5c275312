//! One run of one experiment: `admit → start → baseline → inject → recover → check → verdict`.

mod aftermath;
mod check;
mod deaths;
mod dose;
mod engine;
mod evidence;
mod faults;
mod indicators;
mod journal;
mod load_phases;
mod offered;
mod plan;
mod progress;
mod record;
mod scrape;
mod stamp;
mod verdict;
mod watch;

pub use engine::Options;
pub use engine::run;
pub use plan::Unplannable;
pub use plan::load_plan;
pub use progress::Event;
pub use progress::Progress;
pub use progress::Silent;
pub use progress::Snapshot;
pub use progress::StepSnapshot;
pub use stamp::folder_stamp;
pub use verdict::most_severe;
pub use verdict::most_severe_of_interrupted;
