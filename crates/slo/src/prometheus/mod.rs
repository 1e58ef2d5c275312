//! What a process says of itself: Prometheus' text format, counters that start again, scrapes that are missing.

mod counter;
mod parse;
mod scrapes;

pub use counter::Counter;
pub use parse::Error;
pub use parse::Exposition;
pub use parse::Kind;
pub use parse::SAMPLES_MAX;
pub use parse::Sample;
pub use parse::parse;
pub use scrapes::Point;
pub use scrapes::ScrapedSeries;
pub use scrapes::Scrapes;
