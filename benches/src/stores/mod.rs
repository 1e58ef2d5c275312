//! Every event store by the same calls, one after the other, on one disk.
//!
//! Events have 256 bytes of data. Each store is measured at the highest durability that it can do and at `Written`, each
//! on an empty store and with a server of its own that is set to do what is asked (see `open`). A row says what the
//! store has *achieved* where that is more than was asked for. Each writer has a stream of its own and waits for its append
//! before the next. Two threads of the runtime, and the server's processes, share the machine.
//!
//! Nothing is compared with anything but the stores with each other, so that no row has a peer.

mod appends;
mod open;
mod reads;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use steadfast_core::{Event, EventId};

use self::appends::Appends;
use self::open::Kind;
use crate::{Options, Row, progress, servers};

/// The length of an event's data in bytes.
const EVENT: usize = 256;

/// How long a row takes, and how many events are read.
#[derive(Debug, Clone, Copy)]
struct Extent {
    length: Duration,
    /// How many events are put into each stream before it is read; a multiple of 64.
    events_each: u64,
}

/// Runs all stores.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let extent = match options.quick {
        true => Extent { length: Duration::from_millis(400), events_each: 128 },
        false => Extent { length: Duration::from_secs(2), events_each: 640 },
    };
    let folder = servers::folder("bench-stores-")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        for (at, durability) in kind.levels().iter().copied().enumerate() {
            let place = match kind.open(folder.path(), durability, &runtime) {
                Ok(place) => place,
                Err(why) => {
                    eprintln!("  stores: {kind} is left out: {why:#}");
                    break;
                }
            };
            if at == 0 {
                rows.extend(reads::run(kind, &place.store, &runtime, extent)?);
            }
            for (batch, writers) in [(1, 1), (1, 8), (64, 1), (64, 8)] {
                let appends = Appends { durability, batch, writers };
                progress(format!("stores, {kind}, {appends}"));
                rows.extend(appends.run(kind, &place.store, &runtime, extent)?);
            }
            runtime.block_on(place.store.close())?;
        }
    }
    Ok(rows)
}

/// Makes events that are alike but for their identities.
#[derive(Clone)]
struct Maker {
    source: Arc<str>,
    kind: Arc<str>,
    time: SystemTime,
    data: Bytes,
}

impl Maker {
    fn new() -> Self {
        let data = Bytes::from(vec![b'x'; EVENT]);
        Self { source: "/bench".into(), kind: "bench.appended".into(), time: SystemTime::now(), data }
    }

    fn event(&self) -> Event {
        let (source, kind) = (Arc::clone(&self.source), Arc::clone(&self.kind));
        Event::restore(EventId::generate(), source, kind, self.time).bytes(self.data.clone())
    }
}
