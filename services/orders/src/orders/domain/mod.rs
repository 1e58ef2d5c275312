//! What an order is and what may happen to it: pure, without I/O, clock or randomness.

mod order;
mod values;

pub use order::Command;
pub use order::Details;
pub use order::Event;
pub use order::Line;
pub use order::Order;
pub use order::Refused;
pub use order::State;
pub use order::Verb;
pub use values::Currency;
pub use values::CustomerId;
pub use values::Invalid;
pub use values::Money;
pub use values::OrderId;
pub use values::Quantity;
pub use values::Sku;
