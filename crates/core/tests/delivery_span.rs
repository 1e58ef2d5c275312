//! The spans of deliveries.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use std::time::Duration;

use steadfast_base::{Class, Classify, Deadline};
use steadfast_core::bus::Bus;
use steadfast_core::delivery::{Delivery, Handling, Message, Order};

type Fields = BTreeMap<&'static str, String>;

/// A subscriber that writes down the spans named `process`.
#[derive(Default, Clone)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("steadfast_core::delivery")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::from([("name", attributes.metadata().name().to_owned())]);
        attributes.record(&mut Into(&mut fields));
        let mut spans = self.0.lock();
        spans.push(fields);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Into(&mut self.0.lock()[span.into_u64() as usize - 1]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Debug, thiserror::Error)]
#[error("not yet")]
struct NotYet;

impl Classify for NotYet {
    fn classify(&self) -> Class {
        Class::Transient
    }
}

/// The only test of this program, for what is traced is looked up once for all threads.
#[test]
fn each_attempt_has_a_span_as_the_conventions_for_messaging_say() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for order in [Order::Total, Order::PerKey] {
        let spans = Spans::default();
        tracing::subscriber::with_default(spans.clone(), || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(deliver(order, PARENT));
        });
        let spans = spans.0.lock().clone();
        assert_eq!(spans.len(), 3, "{spans:?}");
        let expected = [
            ("name", "process"),
            ("otel.name", "process numbers"),
            ("otel.kind", "consumer"),
            ("messaging.system", "steadfast"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "numbers"),
            ("messaging.consumer.group.name", "test"),
            ("messaging.message.id", "m-1"),
            ("traceparent", PARENT),
        ];
        for (name, value) in expected {
            assert_eq!(spans[0].get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(spans[0].get("error.type").map(String::as_str), Some("error"));
        assert_eq!(spans[0].get("otel.status_code").map(String::as_str), Some("ERROR"));
        assert_eq!(
            (spans[1].get("attempt").map(String::as_str), spans[1].get("error.type")),
            (Some("2"), None)
        );
        assert_eq!(spans[2].get("messaging.batch.message_count").map(String::as_str), Some("2"));
    }
}

/// Delivers one message that fails once, then a batch of two.
async fn deliver(order: Order, parent: &str) {
    let bus = Bus::new();
    let topic = bus.topic::<u64>("numbers").expect("the bus is open");
    let handling = Handling { order, ..Handling::default() };
    let subscribe = || topic.subscribe("test", 8).expect("the bus is open").handling(handling.clone());
    {
        let subscription = subscribe();
        let trace = parent.parse().expect("a valid parent");
        topic.publish(Message::new(1).key("m-1").trace(trace)).await.expect("there is room");
        let handler = |delivery: Delivery<u64>| async move {
            if delivery.attempt() == 1 { Err(NotYet) } else { Ok(()) }
        };
        let run = subscription.run_fn(handler);
        let _ = tokio::time::timeout(Duration::from_secs(10), run).await;
    }
    let subscription = subscribe();
    topic.publish(1).await.expect("there is room");
    topic.publish(2).await.expect("there is room");
    let handler = tower::service_fn(|_: Vec<Delivery<u64>>| async { Ok::<_, NotYet>(()) });
    tokio::join!(
        subscription.run_batches(handler, 2, Duration::ZERO),
        bus.close(Deadline::within(Duration::from_secs(10)))
    );
}
