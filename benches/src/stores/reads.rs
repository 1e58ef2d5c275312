//! Reading all events, and the events of one stream after the other.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use steadfast_core::store::{Batch, Condition, EventStore, Query};
use tokio::runtime::Runtime;

use super::open::Kind;
use super::{Extent, Maker};
use crate::{Row, progress};

const STREAMS: u64 = 64;
const BATCH: u64 = 64;

/// Fills the store, which is empty, and reads it over and over for as long as `extent` says.
pub(super) fn run(
    kind: Kind,
    store: &Arc<dyn EventStore>,
    runtime: &Runtime,
    extent: Extent,
) -> anyhow::Result<Vec<Row>> {
    let count = STREAMS * extent.events_each;
    let all = format!("stores, {kind}, read all of {count}");
    let one = format!("stores, {kind}, read streams of {} among {STREAMS}", extent.events_each);
    runtime.block_on(async {
        progress(format!("stores, {kind}, fill"));
        fill(store, extent).await?;
        progress(&all);
        let rate_of_all = read(store, extent, |_| (Query::default(), count)).await?;
        progress(&one);
        let stream = |turn: u64| (Query::stream(name(turn % STREAMS)), extent.events_each);
        let rate_of_one = read(store, extent, stream).await?;
        Ok(vec![Row::alone(all, rate_of_all, "events/s"), Row::alone(one, rate_of_one, "events/s")])
    })
}

fn name(number: u64) -> String {
    format!("stream-{number}")
}

/// Appends batches to all streams in turns.
async fn fill(store: &Arc<dyn EventStore>, extent: Extent) -> anyhow::Result<()> {
    let (maker, durability) = (Maker::new(), store.capabilities().durability_max);
    for _ in 0..extent.events_each / BATCH {
        for stream in 0..STREAMS {
            let batch = Batch::to_stream(name(stream), (0..BATCH).map(|_| maker.event()));
            store.append(batch, Condition::Any, durability).await?;
        }
    }
    Ok(())
}

/// Reads what `query` asks for in each turn, which is as many events as it says, and returns how many a second.
async fn read(
    store: &Arc<dyn EventStore>,
    extent: Extent,
    query: impl Fn(u64) -> (Query, u64),
) -> anyhow::Result<f64> {
    let (start, mut events, mut turn) = (Instant::now(), 0_u64, 0);
    while turn < 1 || start.elapsed() < extent.length {
        let (query, wanted) = query(turn);
        let mut stored = store.read(query);
        let mut found = 0;
        while let Some(event) = stored.try_next().await? {
            std::hint::black_box(event.event.data());
            found += 1;
        }
        anyhow::ensure!(found == wanted, "{found} events were read instead of {wanted}");
        events += found;
        turn += 1;
    }
    Ok(events as f64 / start.elapsed().as_secs_f64())
}
