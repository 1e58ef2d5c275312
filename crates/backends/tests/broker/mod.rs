//! What the tests of several brokers share.

pub(crate) mod kill;
