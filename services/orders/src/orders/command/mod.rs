//! Carries out commands: one at a time per order and per key, each event in the log before anybody is told.

mod answer;
mod book;
mod error;
mod orders;
#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use book::Book;
pub use book::OrderEntry;
pub use book::Outcome;
pub use book::Record;
pub use error::Error;
pub use orders::Orders;
pub use orders::Recorded;
pub use orders::Settings;
pub use orders::Started;
