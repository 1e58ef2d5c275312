use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio_util::sync::CancellationToken;

use super::life::Lives;
use crate::outbox::{OutboxOptions, OutboxRelay};
use crate::store::{Batch, Durability, EventStore, Query, StoredEvent};
use crate::testing::store::StoreFactory;
use crate::testing::store::tools::{Checked, append, check, check_eq, event, read_all, within};
use crate::transport::{self, Capabilities, LinkState, Ordering, Sink, link};
use crate::{Event, EventId};

const EVENTS: usize = 60;

/// Keeps what arrives.
struct Arrivals {
    all: Mutex<Vec<EventId>>,
    /// Whether the last one has arrived.
    ended: tokio::sync::watch::Sender<bool>,
}

impl Sink for Arrivals {
    fn system(&self) -> &'static str {
        "arrivals"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::Total, Durability::Written)
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Durability, transport::Error>> {
        Box::pin(async move {
            // Others get their turn, so that more is appended meanwhile.
            tokio::task::yield_now().await;
            let mut all = self.all.lock();
            all.extend(events.iter().map(Event::id));
            if events.iter().any(|event| event.kind() == "end") {
                self.ended.send_replace(true);
            }
            Ok(durability)
        })
    }

    fn link(&self) -> LinkState {
        link().1
    }

    fn close(&self, _: Deadline) -> BoxFuture<'_, Result<(), transport::Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// What is appended, to several streams and also while nobody sends, is sent in the order of the store; what was sent
/// when the outbox died may be sent again, and nothing is left out.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn an_outbox_sends_everything_in_order(factory: &mut dyn StoreFactory) -> Checked {
    let mut lives = Lives::begin(factory).await;
    let sink = Arc::new(Arrivals { all: Mutex::default(), ended: tokio::sync::watch::Sender::new(false) });
    let mut appended = 0;
    // A batch that is under way when a life ends is appended again in the next.
    let mut batch = None;
    loop {
        let mortal = lives.mortal(6);
        let options = OutboxOptions { batch_max: 4, ..OutboxOptions::new("conformance") };
        let store = Arc::clone(&mortal) as Arc<dyn EventStore>;
        let outbox = OutboxRelay::new(store, Arc::clone(&sink) as Arc<dyn Sink>, options);
        // Whoever appends lives on: it does not append by the store that dies.
        let store = Arc::clone(&lives.store);
        let mut ended = sink.ended.subscribe();
        let work = async {
            while appended < EVENTS {
                let stream = format!("s{}", appended % 3);
                let kind = if appended + 1 < EVENTS { "e" } else { "end" };
                let next = batch.get_or_insert_with(|| Batch::to_stream(stream, [event(kind)]));
                append(&*store, next).await?;
                (appended, batch) = (appended + 1, None);
                tokio::task::yield_now().await;
            }
            let _ = ended.wait_for(|ended| *ended).await;
            Ok::<_, String>(())
        };
        let life = async {
            tokio::select! {
                worked = work => worked,
                ended = outbox.run(CancellationToken::new()) => Err(format!("the outbox ended: {ended:?}")),
            }
        };
        let lived = within("the life of an outbox", mortal.live(life)).await?;
        drop((outbox, mortal, store));
        lives.next().await?;
        if let Some(lived) = lived {
            lived?;
            break;
        }
    }
    let log = read_all(&*lives.store).await?;
    let stored: Vec<_> = log.iter().filter(|stored| is_ours(stored)).collect();
    check_eq("events appended", &stored.len(), &EVENTS)?;
    let mut seen = HashSet::new();
    let mut arrived = sink.all.lock().clone();
    arrived.retain(|id| seen.insert(*id));
    check(stored.iter().map(|stored| stored.event.id()).eq(arrived.iter().copied()), || {
        format!("{} events arrived, not in the order of the store, or not these", arrived.len())
    })?;
    // Nothing is left: its mark stands behind the last event.
    let mark = crate::store::Checkpoint::load(&*lives.store, "conformance").await;
    let mark = mark.map_err(|error| format!("reading its checkpoint failed: {error}"))?;
    let query = Query { from: Some(mark.position()), ..Query::default() };
    let rest = crate::testing::store::tools::read(&*lives.store, query).await?;
    let rest = rest.iter().filter(|stored| is_ours(stored)).count();
    // The last batch may have been sent when the life ended, before the mark was moved.
    check(rest <= 4, || format!("{rest} events stand behind the mark of the outbox"))
}

fn is_ours(stored: &StoredEvent) -> bool {
    ["e", "end"].contains(&stored.event.kind())
}
