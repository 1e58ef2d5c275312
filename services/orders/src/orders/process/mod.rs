//! Confirms an order across three programs: stock is reserved, the price charged, then the order confirmed; and
//! taken back in the other direction when one of them fails.

mod call;
mod confirmation;
mod dependency;
mod manager;

pub use call::Ask;
pub use call::Call;
pub use call::CallError;
pub use call::Done;
pub use confirmation::Command;
pub use confirmation::Confirmation;
pub use confirmation::Event;
pub use confirmation::Reason;
pub use confirmation::Refused;
pub use dependency::Dependencies;
pub use dependency::Dependency;
pub use dependency::Guards;
pub use manager::Manager;
pub use manager::Waited;
