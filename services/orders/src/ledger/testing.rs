//! Logs that hold what earlier versions wrote.

use std::sync::Arc;

use futures::TryStreamExt;
use steadfast::core::Event;
use steadfast::core::store::{Batch, Condition, Durability, EventStore, MemoryStore, Query};

/// The order of all events.
pub(crate) const ORDER: &str = "0190a3b2-7c11-7000-8000-00000000000a";

/// An event as it was written once.
#[derive(Clone, Copy)]
pub(crate) struct Old {
    pub(crate) source: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) data: &'static str,
}

impl Old {
    /// Makes a log of these events and, as any log may have it, one of somebody else.
    pub(crate) async fn store(streams: &[(&'static str, Self)]) -> Arc<dyn EventStore> {
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        let olds = streams.iter().map(|(stream, old)| {
            let event = Event::new(old.source, old.kind).subject(ORDER);
            (*stream, event.data("application/json", old.data))
        });
        for (stream, event) in olds.chain([("other", Event::new("/other", "other").build())]) {
            let appended =
                store.append(Batch::to_stream(stream, [event]), Condition::Any, Durability::Accepted);
            appended.await.expect("it was appended");
        }
        store
    }
}

/// Returns all that the events of a stream say, but for their identities and times.
pub(crate) async fn said(store: &dyn EventStore, stream: &'static str) -> Vec<Vec<String>> {
    let stored: Vec<_> = store.read(Query::stream(stream)).try_collect().await.expect("it can be read");
    let said = stored.iter().map(|stored| {
        let event = &stored.event;
        let texts = [Some(event.source()), Some(event.kind()), event.subject(), event.content_type()];
        let mut said: Vec<_> = texts.into_iter().map(|text| text.unwrap_or_default().to_owned()).collect();
        said.push(String::from_utf8_lossy(event.data()).into_owned());
        said.extend(event.extensions().iter().map(|(name, value)| format!("{name}={value}")));
        said
    });
    said.collect()
}
