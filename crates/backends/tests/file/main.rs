//! The file log from outside.

mod basics;
mod conformance;
mod damage;
mod failing_disk;
mod inbox;
mod kill;
mod old_formats;
mod read_only;
mod simulation;
mod support;
mod with_fuse;

#[path = "../killed/mod.rs"]
mod killed;

#[path = "../power/mod.rs"]
mod power;
