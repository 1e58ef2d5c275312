//! An orderly end: SIGTERM or SIGINT asks for it, a deadline bounds it, a second signal cuts it short.

mod drain;
mod signals;

pub use drain::DrainTimedOut;
pub use drain::drain;
pub use signals::Signals;
