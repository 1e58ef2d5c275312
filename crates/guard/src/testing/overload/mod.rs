//! A model of a server and of callers who do not wait for each other, for showing what guards do to both.
//!
//! A [`Server`] works on so many calls at a time, first in, first out. [`Remote`] is the way to it: work goes on there
//! when a caller has gone. [`Load`] sends calls at random moments, whatever becomes of those before (an open model).
//! Time is tokio's: paused, hours take seconds and a seed gives the same run again.

mod load;
mod server;

pub use load::Ask;
pub use load::Asked;
pub use load::Load;
pub use load::Seen;
pub use server::Remote;
pub use server::Server;
