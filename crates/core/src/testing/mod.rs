//! What tests of crates that build on this one share; behind the feature `testing`.

mod aggregate;
pub mod store;
pub mod transport;

pub use aggregate::Given;
pub use aggregate::When;
pub use aggregate::given;
