//! What tests of crates that build on this one share; behind the feature `testing`.

mod aggregate;
mod commands;
mod machine;
mod seed;
pub mod store;
pub mod transport;
pub mod users;

pub use aggregate::Given;
pub use aggregate::When;
pub use aggregate::given;
pub use commands::Model;
pub use commands::random_commands;
pub use machine::assert_aggregate;
pub use machine::assert_diagram;
pub use machine::assert_every_pair;
pub use machine::assert_sound;
pub use machine::assert_table;
pub use seed::seed;
