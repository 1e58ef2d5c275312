use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use steadfast::core::Event;
use steadfast::core::store::{Batch, Condition, Durability, EventStore, Filter, MemoryStore, Query};

use super::{Notices, Transport};
use crate::orders::log::{COMMAND_ID, NOTICE_SENT, SHIPPED};

async fn append(store: &dyn EventStore, order: &str, kind: &str, command: &str) {
    let event = Event::new("/orders", kind).subject(order).extension(COMMAND_ID, command).build();
    let batch = Batch::to_stream(format!("order-{order}"), [event]);
    store.append(batch, Condition::Any, Durability::Accepted).await.expect("a writable store");
}

/// The orders that were noticed and the commands that shipped them, once there are at least `count`.
async fn notices(store: &dyn EventStore, count: usize) -> Vec<(String, String)> {
    let filter = Filter { kinds: vec![NOTICE_SENT.into()], ..Filter::default() };
    let look = async {
        loop {
            let query = Query { filter: filter.clone(), ..Query::default() };
            let found: Vec<_> = store.read(query).try_collect().await.expect("a readable store");
            if found.len() >= count {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), look).await.expect("notices are made");
    let of = |event: &Event| {
        (event.subject().unwrap_or_default().to_owned(), event.extensions()[COMMAND_ID].clone())
    };
    found.iter().map(|stored| of(&stored.event)).collect()
}

#[tokio::test]
async fn each_shipment_is_noticed_once_across_starts() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    append(&*store, "a", "order.created", "1").await;
    append(&*store, "a", SHIPPED, "2").await;
    for round in 0..3 {
        let notices_task = Notices::start(&store, Durability::Accepted, &Transport::Log, true)
            .expect("the store keeps an inbox");
        append(&*store, &format!("b{round}"), SHIPPED, &format!("{}", round + 10)).await;
        let found = notices(&*store, round + 2).await;
        assert_eq!(found.len(), round + 2);
        notices_task.close().await;
    }
    let mut found = notices(&*store, 4).await;
    found.sort();
    let expected = [("a", "2"), ("b0", "10"), ("b1", "11"), ("b2", "12")];
    assert_eq!(found, expected.map(|(order, command)| (order.to_owned(), command.to_owned())));
}
