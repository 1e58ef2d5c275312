//! Tests of machines: every pair of state and command, against a table, a function or an aggregate.

mod aggregate;
mod diagram;
mod pairs;
mod sound;
#[cfg(test)]
mod tests;

pub use aggregate::assert_aggregate;
pub use diagram::assert_diagram;
pub use pairs::assert_every_pair;
pub use pairs::assert_table;
pub use sound::assert_sound;
