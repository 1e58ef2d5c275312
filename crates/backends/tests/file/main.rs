//! The file log from outside.

mod basics;
mod support;
