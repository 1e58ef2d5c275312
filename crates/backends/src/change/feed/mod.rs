//! The receiver's side of a source that reads one ordered sequence: what was read and is not settled, kept so that
//! nothing is confirmed before all that precedes it is handled.

mod ledger;
mod receiver;
mod shared;

pub(crate) use ledger::Handled;
pub(crate) use ledger::Position;
pub(crate) use receiver::Driver;
pub(crate) use receiver::FeedReceiver;
pub(crate) use shared::Feed;
