use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use steadfast_base::{Rng, Seed};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::tools::{CASE_MAX, Checked, append, check, check_eq, event, read_all, skip, within, within_time};
use super::{Crash, StoreFactory};
use crate::store::{Batch, Condition, Durability, EventStore, Filter, Position, Query, StoredEvent};
use crate::{Event, EventId};

const APPENDERS: usize = 4;
/// How many batches are acknowledged before a crash, at least, where a test does not say so.
const ACKNOWLEDGED: usize = 40;
/// How long a crash may be in coming after that.
const DELAY_MAX: Duration = Duration::from_millis(20);

/// How [`survives_crashes`] tests a store.
///
/// # Examples
/// ```
/// use steadfast_base::Seed;
/// use steadfast_core::store::Durability;
/// use steadfast_core::testing::store::{Crash, CrashTest};
///
/// let test = CrashTest { rounds: 20, ..CrashTest::new(Crash::Power, Durability::Durable, Seed::random()) };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CrashTest {
    /// How the store ends, each time.
    pub crash: Crash,
    /// What appends ask for, and what must thus survive the crash.
    pub durability: Durability,
    /// How often.
    pub rounds: usize,
    /// How many batches are acknowledged before each crash, at least; a seed draws up to twice as many.
    pub acknowledged: usize,
    /// What the moments are drawn from, and the sizes of events.
    pub seed: Seed,
}

impl CrashTest {
    /// Makes the test that appends as `durability` and crashes three times.
    pub fn new(crash: Crash, durability: Durability, seed: Seed) -> Self {
        Self { crash, durability, rounds: 3, acknowledged: ACKNOWLEDGED, seed }
    }
}

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
    let mut crowd = Crowd::start(&store, 0, Durability::Accepted, Seed::new(0));
    let (mut read, mut subscribed) = (Vec::new(), Vec::new());
    let mut subscription = store.subscribe(Filter::all(), Position::START);
    let enough = async {
        crowd.acknowledged(ACKNOWLEDGED).await?;
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
    crowd.stop().await?;
    drop(store);
    let survivor = within_time("opening after the crash", CASE_MAX, crashing).await?;
    let log = read_all(&*survivor).await?;
    for (who, seen) in [("a reader", read), ("a subscriber", subscribed)] {
        check(log.starts_with(&seen), || {
            format!("{who} saw {} events, the log has others after the crash: {}", seen.len(), log.len())
        })?;
    }
    Ok(())
}

/// A batch that was appended as [`Durability::Written`] or [`Durability::Accepted`] and again, as a duplicate, as
/// [`Durability::Durable`] survives the loss of power.
///
/// # Errors
/// What the store got wrong.
pub async fn duplicates_are_raised_to_the_durability_asked_for(factory: &mut dyn StoreFactory) -> Checked {
    let mut store = factory.open().await;
    if store.capabilities().durability_max < Durability::Durable {
        return skip("the store cannot achieve `durable`");
    }
    // One for each crash, or the sync of one would make the other safe.
    for (first, survivors) in [(Durability::Written, 2), (Durability::Accepted, 4)] {
        let batch = Batch::to_stream("s", [event("a"), event("b")]);
        for (durability, duplicate) in [(first, false), (Durability::Durable, true)] {
            let appended = within("append", store.append(batch.clone(), Condition::Any, durability)).await?;
            let appended = appended.map_err(|error| format!("append as {durability} failed: {error}"))?;
            check_eq("whether it is a duplicate", &appended.duplicate, &duplicate)?;
        }
        let Some(crashing) = factory.crash(Crash::Power) else {
            return skip("no such crash can be simulated");
        };
        drop(store);
        store = within_time("opening after the crash", CASE_MAX, crashing).await?;
        let survived = read_all(&*store).await?.len();
        check_eq(&format!("events that survived, the last {first} at first"), &survived, &survivors)?;
    }
    Ok(())
}

/// Appends from several tasks, crashes at a moment that the seed draws, opens what is left and looks at it, as often as
/// the test says: every acknowledged batch must be there, once, as it was sent, at its place and in order, and every
/// other one whole or not at all. Returns how many batches were acknowledged.
///
/// It is what [`durable_batches_survive_the_loss_of_power`] does three times, for those who can afford more: for a real
/// server, say, on a file system that loses power.
///
/// # Errors
/// What the store got wrong; that it cannot do what is asked for, or the factory cannot crash like that.
pub async fn survives_crashes(factory: &mut dyn StoreFactory, test: &CrashTest) -> Result<u64, String> {
    go_through(factory, test).await?.map_err(|Impossible(why)| why)
}

async fn survive(factory: &mut dyn StoreFactory, durability: Durability, crash: Crash) -> Checked {
    let test = CrashTest::new(crash, durability, Seed::new(0));
    match go_through(factory, &test).await? {
        Ok(_) => Ok(()),
        Err(Impossible(why)) => skip(&why),
    }
}

/// Why a test cannot be made.
struct Impossible(String);

async fn go_through(
    factory: &mut dyn StoreFactory,
    test: &CrashTest,
) -> Result<Result<u64, Impossible>, String> {
    let CrashTest { crash, durability, rounds, acknowledged, seed } = *test;
    let mut rng = seed.stream("moments");
    let mut store = factory.open().await;
    if store.capabilities().durability_max < durability {
        return Ok(Err(Impossible(format!("the store cannot achieve `{durability}`"))));
    }
    let (mut sent, mut promised) = (Vec::new(), 0);
    for round in 0..rounds {
        let mut crowd = Crowd::start(&store, round, durability, seed);
        crowd.acknowledged(acknowledged + rng.below(acknowledged as u64) as usize).await?;
        tokio::time::sleep(DELAY_MAX.mul_f64(rng.unit())).await;
        let Some(crashing) = factory.crash(crash) else {
            return Ok(Err(Impossible("no such crash can be simulated".to_owned())));
        };
        let attempts = crowd.stop().await?;
        drop(store);
        promised += attempts.iter().filter(|attempt| attempt.place.is_some()).count() as u64;
        sent.extend(attempts);
        store = within_time("opening after the crash", CASE_MAX, crashing).await?;
        let log = read_all(&*store).await?;
        check_survival(&log, &sent).map_err(|problem| format!("after {crash:?} crash {round}: {problem}"))?;
        // What survived once must survive again, whether it was acknowledged or not.
        let places: HashMap<EventId, Position> =
            log.iter().map(|stored| (stored.event.id(), stored.position)).collect();
        for attempt in &mut sent {
            attempt.place = attempt.events.last().and_then(|last| places.get(&last.id())).copied();
            attempt.absent = attempt.place.is_none();
        }
        let probe = append(&*store, &Batch::to_stream(format!("probe{round}"), [event("probe")])).await?;
        check_eq("first revision of a new stream", &probe.revision.0, &0)?;
    }
    Ok(Ok(promised))
}

/// A batch that was sent: where it must stand, if it must, and whether it is known to be absent.
#[derive(Debug)]
struct Attempt {
    stream: Arc<str>,
    events: Vec<Event>,
    place: Option<Position>,
    absent: bool,
}

/// Appenders that go on until they are stopped or the store fails.
struct Crowd {
    tasks: JoinSet<Vec<Attempt>>,
    acknowledged: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
}

impl Crowd {
    fn start(store: &Arc<dyn EventStore>, round: usize, durability: Durability, seed: Seed) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, acknowledged) = watch::channel(0);
        let count = Arc::new(count);
        let mut tasks = JoinSet::new();
        for appender in 0..APPENDERS {
            let (store, count, mut stopped) = (Arc::clone(store), Arc::clone(&count), stopped.clone());
            let mut rng = seed.stream(&format!("appender {round}.{appender}"));
            tasks.spawn(async move {
                let mut attempts = Vec::new();
                let stream: Arc<str> = format!("{appender}").into();
                for number in 0_usize.. {
                    let events = draw_events(&format!("{round}.{appender}.{number}"), &mut rng);
                    let batch = Batch::to_stream(Arc::clone(&stream), events.clone());
                    attempts.push(Attempt {
                        stream: Arc::clone(&stream),
                        events,
                        place: None,
                        absent: false,
                    });
                    let append = store.append(batch, Condition::Any, durability);
                    let appended = tokio::select! {
                        appended = append => appended,
                        _ = stopped.wait_for(|stopped| *stopped) => break,
                    };
                    // An error ends the appender: the crash, or else the round never gets enough and says so.
                    let Ok(appended) = appended else { break };
                    attempts[number].place = Some(appended.position);
                    count.send_modify(|count| *count += 1);
                    tokio::task::yield_now().await;
                }
                attempts
            });
        }
        Self { tasks, acknowledged, stop }
    }

    /// Waits until so many batches are acknowledged.
    async fn acknowledged(&mut self, enough: usize) -> Checked {
        let acknowledged = within("appending", self.acknowledged.wait_for(|count| *count >= enough)).await?;
        check(acknowledged.is_ok(), || "all appends failed before the crash".to_owned())
    }

    async fn stop(self) -> Result<Vec<Attempt>, String> {
        let _ = self.stop.send(true);
        let joined = tokio::time::timeout(Duration::from_secs(20), self.tasks.join_all()).await;
        Ok(joined.map_err(|_| "appenders did not stop".to_owned())?.into_iter().flatten().collect())
    }
}

/// One to three events, of a few bytes or of more than a page.
fn draw_events(name: &str, rng: &mut Rng) -> Vec<Event> {
    let mut draw = |index: u64| {
        let size = if rng.chance(0.1) { rng.below(8192) } else { rng.below(200) };
        Event::new("/conformance", format!("{name}.{index}")).data("text/plain", vec![b'x'; size as usize])
    };
    let first = draw(0);
    let more = first.data().len() as u64 % 3;
    std::iter::once(first).chain((1..=more).map(draw)).collect()
}

fn check_survival(log: &[StoredEvent], sent: &[Attempt]) -> Checked {
    let index: HashMap<EventId, usize> = log.iter().enumerate().map(|(i, e)| (e.event.id(), i)).collect();
    let mut known = 0;
    let mut previous: HashMap<&str, usize> = HashMap::new();
    for Attempt { stream, events, place, absent } in sent {
        let found: Vec<usize> = events.iter().filter_map(|event| index.get(&event.id())).copied().collect();
        known += found.len();
        if let (Some(place), true) = (place, found.is_empty()) {
            return Err(format!("the batch acknowledged at {place} in stream `{stream}` is lost"));
        }
        let Some(&first) = found.first() else { continue };
        check(!absent, || format!("a batch that was absent has appeared in stream `{stream}`"))?;
        check(found.len() == events.len(), || {
            format!("{} of {} events of a batch in stream `{stream}` survived", found.len(), events.len())
        })?;
        check(found.iter().copied().eq(first..first + events.len()), || {
            format!("the events of a batch in stream `{stream}` do not stand together")
        })?;
        let stored = &log[first..first + events.len()];
        check(stored.iter().all(|stored| stored.stream == *stream), || {
            format!("a batch of stream `{stream}` stands in another one")
        })?;
        check(stored.iter().map(|stored| &stored.event).eq(events), || {
            format!("an event of stream `{stream}` is not as it was sent")
        })?;
        let last = stored.last().map(|last| last.position);
        check(place.is_none() || *place == last, || format!("a batch moved from {place:?} to {last:?}"))?;
        // Each appender has a stream of its own and waits for each append, so its batches stand in its order.
        let before = previous.insert(stream, first);
        check(before.is_none_or(|before| before < first), || {
            format!("batches of stream `{stream}` changed their order")
        })?;
    }
    let probes = log.iter().filter(|stored| stored.stream.starts_with("probe")).count();
    check_eq("events that were sent", &(known + probes), &log.len())
}
