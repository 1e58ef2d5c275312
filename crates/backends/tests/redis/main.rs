//! Redis Streams on a real server.

#[path = "../broker/mod.rs"]
mod broker;

mod with_redis {
    mod conformance;
    mod kill;
    mod settings;
    mod support;
}
