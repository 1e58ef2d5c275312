//! Kafka as a transport, against a real node.

#[path = "../broker/mod.rs"]
mod broker;

#[allow(dead_code, reason = "the example's own `main` is not called")]
#[path = "../../examples/kafka.rs"]
mod example;

mod with_kafka {
    mod conformance;
    mod examples;
    mod group;
    mod kill;
    mod pool;
    mod settings;
}
