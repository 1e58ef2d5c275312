//! The file log from outside.

mod archive;
mod basics;
mod conformance;
mod damage;
mod delete;
mod edge;
mod encryption;
mod failing_disk;
mod idle;
mod inbox;
mod kill;
mod kill_rewriting;
mod old_formats;
mod read_only;
mod repair;
mod replay;
mod sealed;
mod simulation;
mod support;
mod through;
#[cfg(target_os = "linux")]
mod with_fuse;

#[path = "../killed/mod.rs"]
mod killed;

#[path = "../boastful/mod.rs"]
mod boastful;

#[cfg(target_os = "linux")]
#[path = "../power/mod.rs"]
mod power;
