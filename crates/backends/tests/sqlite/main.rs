//! Changes of SQLite as events, and SQLite as an event store.

mod changes;
mod conformance;
mod encryption;
mod groups;
mod kill;
mod large;
mod store;
mod support;
mod values;
mod view;

#[path = "../../examples/sqlite.rs"]
mod example;

#[test]
fn the_example_runs_to_its_end() {
    example::main().expect("it succeeds");
}

#[path = "../stand_by/mod.rs"]
mod stand_by;

#[path = "../killed/mod.rs"]
mod killed;

#[path = "../boastful/mod.rs"]
mod boastful;

#[cfg(target_os = "linux")]
#[path = "../power/mod.rs"]
mod power;
