//! Tells how much of an article is free: as inventory says, or as it said last while it does not answer.
//!
//! Guards of their own stand before these questions, the only ones with a fallback. It cannot reach what changes
//! anything: only a [`Question`] passes these guards, and those before reservations have no place for a fallback.

mod question;
mod reader;

pub use question::Level;
pub use question::Question;
pub use reader::Fallback;
pub use reader::Reader;
