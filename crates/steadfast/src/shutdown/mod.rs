//! An orderly end: SIGTERM or SIGINT asks for it, a [`Sequence`] says what is done then and in which order, a deadline
//! bounds it, a second signal cuts it short.

mod drain;
mod sequence;
mod signals;

pub use drain::DrainTimedOut;
pub use drain::drain;
pub use sequence::FailedStep;
pub use sequence::Limits;
pub use sequence::Phase;
pub use sequence::Sequence;
pub use sequence::Unfinished;
pub use signals::Signals;
