use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::tools::{Checked, append, check, check_eq, event, read_all, skip, within};
use super::{Crash, StoreFactory};
use crate::store::{Batch, Condition, Durability, EventStore, Filter, Position, Query, StoredEvent};
use crate::{Event, EventId};

const ROUNDS: usize = 3;
const APPENDERS: usize = 4;
/// How many batches are acknowledged before the crash, in each round.
const ACKNOWLEDGED: usize = 40;

/// What was appended as [`Durability::Durable`] and acknowledged is there after power was lost amid appends: once,
/// in order, at its place, and every other batch is whole or absent. A store that does not sync is caught.
///
/// # Errors
/// What the store got wrong.
pub async fn durable_batches_survive_the_loss_of_power(factory: &mut dyn StoreFactory) -> Checked {
    survive(factory, Durability::Durable, Crash::Power).await
}

/// The same for [`Durability::Written`] and the death of the process.
///
/// # Errors
/// What the store got wrong.
pub async fn written_batches_survive_the_death_of_the_process(factory: &mut dyn StoreFactory) -> Checked {
    survive(factory, Durability::Written, Crash::Process).await
}

/// What a reader or a subscriber has seen is there after the process died, at the same places, even if it was
/// appended as [`Durability::Accepted`] only: nobody acts on an event that then never happened.
///
/// # Errors
/// What the store got wrong.
pub async fn events_seen_survive_the_death_of_the_process(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    if store.capabilities().durability_max < Durability::Written {
        return skip("the store cannot achieve `written`");
    }
    let crowd = Crowd::start(&store, 0, Durability::Accepted);
    let (mut read, mut subscribed) = (Vec::new(), Vec::new());
    let mut subscription = store.subscribe(Filter::all(), Position::START);
    let enough = async {
        crowd.enough.notified().await;
        while read.len() < ACKNOWLEDGED {
            read = super::tools::read(&*store, Query::default()).await?;
        }
        Ok::<_, String>(())
    };
    let following = async {
        while let Some(Ok(stored)) = subscription.next().await {
            subscribed.push(stored);
        }
    };
    let followed = within("reading what is appended", async {
        tokio::select! {
            enough = enough => enough,
            () = following => Err("a subscription ended before the store closed".to_owned()),
        }
    });
    followed.await??;
    drop(subscription);
    let Some(crashing) = factory.crash(Crash::Process) else { return skip("no such crash can be simulated") };
    let survivor = within("opening after the crash", crashing).await?;
    crowd.stop().await?;
    let log = read_all(&*survivor).await?;
    for (who, seen) in [("a reader", read), ("a subscriber", subscribed)] {
        check(log.starts_with(&seen), || {
            format!("{who} saw {} events, the log has others after the crash: {}", seen.len(), log.len())
        })?;
    }
    Ok(())
}

/// A batch that was appended as [`Durability::Written`] and again, as a duplicate, as [`Durability::Durable`]
/// survives the loss of power.
///
/// # Errors
/// What the store got wrong.
pub async fn duplicates_are_raised_to_the_durability_asked_for(factory: &mut dyn StoreFactory) -> Checked {
    let store = factory.open().await;
    if store.capabilities().durability_max < Durability::Durable {
        return skip("the store cannot achieve `durable`");
    }
    let batch = Batch::to_stream("s", [event("a"), event("b")]);
    for (durability, duplicate) in [(Durability::Written, false), (Durability::Durable, true)] {
        let appended = within("append", store.append(batch.clone(), Condition::Any, durability)).await?;
        let appended = appended.map_err(|error| format!("append as {durability} failed: {error}"))?;
        check_eq("whether it is a duplicate", &appended.duplicate, &duplicate)?;
    }
    let Some(crashing) = factory.crash(Crash::Power) else { return skip("no such crash can be simulated") };
    let survivor = within("opening after the crash", crashing).await?;
    check_eq("events that survived", &read_all(&*survivor).await?.len(), &2)
}

async fn survive(factory: &mut dyn StoreFactory, durability: Durability, crash: Crash) -> Checked {
    let mut store = factory.open().await;
    if store.capabilities().durability_max < durability {
        return skip(&format!("the store cannot achieve `{durability}`"));
    }
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        let crowd = Crowd::start(&store, round, durability);
        within("appending", crowd.enough.notified()).await?;
        let Some(crashing) = factory.crash(crash) else { return skip("no such crash can be simulated") };
        let survivor = within("opening after the crash", crashing).await?;
        sent.extend(crowd.stop().await?);
        store = survivor;
        let log = read_all(&*store).await?;
        check_survival(&log, &sent).map_err(|problem| format!("after {crash:?} crash {round}: {problem}"))?;
        // What survived once must survive again, whether it was acknowledged or not.
        for attempt in &mut sent {
            let last = attempt.ids.last();
            let stored = log.iter().find(|stored| Some(&stored.event.id()) == last);
            attempt.place = stored.map(|stored| stored.position);
            attempt.absent = stored.is_none();
        }
        let probe = append(&*store, &Batch::to_stream(format!("probe{round}"), [event("probe")])).await?;
        check_eq("first revision of a new stream", &probe.revision.0, &0)?;
    }
    Ok(())
}

/// A batch that was sent: where it must stand, if it must, and whether it is known to be absent.
#[derive(Debug)]
struct Attempt {
    stream: Arc<str>,
    ids: Vec<EventId>,
    place: Option<Position>,
    absent: bool,
}

/// Appenders that go on until they are stopped or the store fails.
struct Crowd {
    tasks: JoinSet<Vec<Attempt>>,
    enough: Arc<Notify>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Crowd {
    fn start(store: &Arc<dyn EventStore>, round: usize, durability: Durability) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut crowd = Self { tasks: JoinSet::new(), enough: Arc::default(), stop };
        let acknowledged = Arc::new(AtomicUsize::new(0));
        for appender in 0..APPENDERS {
            let (store, enough) = (Arc::clone(store), Arc::clone(&crowd.enough));
            let (acknowledged, mut stopped) = (Arc::clone(&acknowledged), stopped.clone());
            crowd.tasks.spawn(async move {
                let mut attempts = Vec::new();
                let stream: Arc<str> = format!("{appender}").into();
                for number in 0_usize.. {
                    let events: Vec<Event> = (0..=number % 3)
                        .map(|i| {
                            event(&format!("{round}.{appender}.{number}.{i}{}", "x".repeat(number % 200)))
                        })
                        .collect();
                    let ids = events.iter().map(Event::id).collect();
                    attempts.push(Attempt { stream: Arc::clone(&stream), ids, place: None, absent: false });
                    let append = store.append(
                        Batch::to_stream(Arc::clone(&stream), events),
                        Condition::Any,
                        durability,
                    );
                    let appended = tokio::select! {
                        appended = append => appended,
                        _ = stopped.wait_for(|stopped| *stopped) => break,
                    };
                    // An error ends the appender: the crash, or else the round never gets enough and says so.
                    let Ok(appended) = appended else { break };
                    attempts[number].place = Some(appended.position);
                    if acknowledged.fetch_add(1, Ordering::Relaxed) + 1 == ACKNOWLEDGED {
                        enough.notify_one();
                    }
                    tokio::task::yield_now().await;
                }
                attempts
            });
        }
        crowd
    }

    async fn stop(self) -> Result<Vec<Attempt>, String> {
        let _ = self.stop.send(true);
        let joined = tokio::time::timeout(Duration::from_secs(20), self.tasks.join_all()).await;
        Ok(joined.map_err(|_| "appenders did not stop".to_owned())?.into_iter().flatten().collect())
    }
}

fn check_survival(log: &[StoredEvent], sent: &[Attempt]) -> Checked {
    let index: HashMap<EventId, usize> = log.iter().enumerate().map(|(i, e)| (e.event.id(), i)).collect();
    let mut known = 0;
    let mut previous: HashMap<&str, usize> = HashMap::new();
    for Attempt { stream, ids, place, absent } in sent {
        let found: Vec<usize> = ids.iter().filter_map(|id| index.get(id)).copied().collect();
        known += found.len();
        if let (Some(place), true) = (place, found.is_empty()) {
            return Err(format!("the batch acknowledged at {place} in stream `{stream}` is lost"));
        }
        let Some(&first) = found.first() else { continue };
        check(!absent, || format!("a batch that was absent has appeared in stream `{stream}`"))?;
        check(found.len() == ids.len(), || {
            format!("{} of {} events of a batch in stream `{stream}` survived", found.len(), ids.len())
        })?;
        check(found.iter().copied().eq(first..first + ids.len()), || {
            format!("the events of a batch in stream `{stream}` do not stand together")
        })?;
        let last = &log[first + ids.len() - 1];
        check(place.is_none_or(|place| place == last.position), || {
            format!("a batch moved from {place:?} to {}", last.position)
        })?;
        // Each appender has a stream of its own and waits for each append, so its batches stand in its order.
        let before = previous.insert(stream, first);
        check(before.is_none_or(|before| before < first), || {
            format!("batches of stream `{stream}` changed their order")
        })?;
    }
    let probes = log.iter().filter(|stored| stored.stream.starts_with("probe")).count();
    check_eq("events that were sent", &(known + probes), &log.len())
}
