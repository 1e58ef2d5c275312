//! What tests of crates that build on this one share; behind the feature `testing`.

pub mod store;
