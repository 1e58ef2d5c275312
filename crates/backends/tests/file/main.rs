//! The file log from outside.

mod basics;
mod conformance;
mod damage;
mod encryption;
mod failing_disk;
mod inbox;
mod kill;
mod old_formats;
mod read_only;
mod simulation;
mod support;

#[path = "../killed/mod.rs"]
mod killed;
