//! The command from outside: what it accepts, what it says, how it ends, and what it leaves behind.

mod bad_input;
mod bad_luck;
mod document;
mod interrupt;
mod kill;
mod lab;
mod log;
mod output;
