//! NATS JetStream on a real server.

#[path = "../broker/mod.rs"]
mod broker;

mod with_nats {
    mod conformance;
    mod kill;
    mod settings;
    mod support;
}
