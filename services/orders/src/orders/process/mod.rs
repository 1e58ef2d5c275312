//! Confirms an order across three programs: stock is reserved, the price charged, then the order confirmed; and
//! taken back in the other direction when one of them fails.
//!
//! [`Confirm`] decides which step comes next, [`Services`] does and undoes steps by the guarded calls of
//! [`Dependencies`], the driver of `core::process` records and repeats, [`Manager`] stands between it and those who
//! wait.

mod call;
mod confirm;
mod confirmation;
mod dependency;
mod manager;
mod port;

pub use call::Ask;
pub use call::Call;
pub use call::CallError;
pub use call::Done;
pub use call::Sent;
pub use confirm::Confirm;
pub use confirm::Input;
pub use confirm::Step;
pub use confirmation::Command;
pub use confirmation::Confirmation;
pub use confirmation::Event;
pub use confirmation::Reason;
pub use confirmation::Refused;
pub use dependency::Dependencies;
pub use dependency::Dependency;
pub use dependency::NoWay;
pub(super) use dependency::is_timeout;
pub(super) use dependency::request;
pub use manager::Manager;
pub use manager::Waited;
pub use port::Services;
