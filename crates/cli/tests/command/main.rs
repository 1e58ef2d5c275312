//! The command from outside: what it accepts, what it says, how it ends, and what it leaves behind.

mod document;
mod lab;
