//! Kafka as a transport, against a real node.

#[path = "../broker/mod.rs"]
mod broker;

mod with_kafka {
    mod conformance;
    mod group;
    mod kill;
    mod pool;
    mod settings;
}
