//! The file log from outside.

mod basics;
mod conformance;
mod damage;
mod inbox;
mod kill;
mod old_formats;
mod simulation;
mod support;
