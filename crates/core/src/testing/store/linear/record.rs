use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use steadfast_base::{Rng, Seed};
use tokio::task::JoinSet;

use super::history::{Answer, Call, Operation, Tag};
use crate::store::{
    Batch, Condition, Error, EventStore, Expected, Outcome, Position, Query, Revision, StoredEvent,
};
use crate::testing::store::tools::{check_eq, read, revision, usual, within};
use crate::{Event, EventId};

const CLIENTS: u64 = 4;
const STREAMS: u64 = 3;
const CALLS: u64 = 24;

/// What clients have done, and what they were told.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The calls on each stream.
    pub(super) streams: BTreeMap<String, Vec<Operation>>,
    /// Those appends of which is known that they took effect at that time.
    pub(super) appends: Vec<Append>,
    /// Where events stood for those who read everything.
    pub(super) reads_of_all: Vec<Vec<(Position, EventId)>>,
    /// Where they stand in the end.
    pub(super) all: Vec<(Position, EventId)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Append {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) position: Position,
}

impl Record {
    fn add(&mut self, other: Self) {
        for (stream, operations) in other.streams {
            self.streams.entry(stream).or_default().extend(operations);
        }
        self.appends.extend(other.appends);
        self.reads_of_all.extend(other.reads_of_all);
    }
}

/// Lets clients call the store at the same time, on streams that are new. Others must leave the store alone.
pub(super) async fn record(store: &Arc<dyn EventStore>, number: u64, seed: Seed) -> Result<Record, String> {
    let clock = Arc::<AtomicU64>::default();
    let client = |name| Client::new(store, &clock, number, name, seed);
    let mut clients: JoinSet<_> = (1..=CLIENTS).map(|name| client(name).run()).collect();
    let mut record = Record::default();
    while let Some(ended) = clients.join_next().await {
        record.add(ended.map_err(|panic| panic.to_string())??);
    }
    // When all is over, somebody looks at everything, so that whatever was left behind must be explained.
    let mut last = client(0);
    for stream in 0..STREAMS {
        last.read_stream(&last.stream(stream)).await?;
    }
    record.add(last.record);
    record.all = places(read(&**store, Query::default()).await?);
    Ok(record)
}

fn places(events: Vec<StoredEvent>) -> Vec<(Position, EventId)> {
    events.into_iter().map(|stored| (stored.position, stored.event.id())).collect()
}

struct Client {
    store: Arc<dyn EventStore>,
    clock: Arc<AtomicU64>,
    rng: Rng,
    /// The number of the history.
    number: u64,
    /// The last tag it has used.
    tags: Tag,
    /// The newest revision of each stream that it has heard of.
    known: BTreeMap<String, Option<u64>>,
    /// Batches whose append it has dropped.
    given_up: Vec<(String, Vec<Tag>, Option<Expected>)>,
    record: Record,
}

impl Client {
    fn new(store: &Arc<dyn EventStore>, clock: &Arc<AtomicU64>, number: u64, name: u64, seed: Seed) -> Self {
        Self {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            rng: seed.stream(&format!("client {name}")),
            number,
            tags: name * 1_000_000,
            known: BTreeMap::new(),
            given_up: Vec::new(),
            record: Record::default(),
        }
    }

    async fn run(mut self) -> Result<Record, String> {
        for _ in 0..CALLS {
            let stream = self.rng.below(STREAMS);
            let stream = self.stream(stream);
            match self.rng.below(20) {
                0..=8 => self.append(&stream).await?,
                9..=10 => self.drop_append(&stream).await,
                11 => self.repeat().await?,
                12..=15 => self.read_stream(&stream).await?,
                16..=17 => self.ask_revision(&stream).await?,
                _ => {
                    let all = places(read(&*self.store, Query::default()).await?);
                    self.record.reads_of_all.push(all);
                }
            }
        }
        Ok(self.record)
    }

    fn stream(&self, stream: u64) -> String {
        format!("linear-{}-{stream}", self.number)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&mut self, stream: &str, call: Call, answer: Answer, begin: u64) {
        let end = self.tick();
        let known = match &answer {
            Answer::Appended(revision) => Some(Some(*revision)),
            Answer::Conflict(revision) | Answer::Revision(revision) => Some(*revision),
            Answer::Events(tags) => Some((tags.len() as u64).checked_sub(1)),
            Answer::Unknown => None,
        };
        if let Some(known) = known {
            self.known.insert(stream.to_owned(), known);
        }
        let operation = Operation { call, answer, begin, end };
        self.record.streams.entry(stream.to_owned()).or_default().push(operation);
    }

    /// Draws a new batch, on a condition that often holds.
    fn draw(&mut self, stream: &str) -> (Vec<Tag>, Option<Expected>) {
        let first = self.tags + 1;
        self.tags += 1 + self.rng.below(3);
        let known = self.known.get(stream).copied().flatten();
        let expected = match (self.rng.below(6), known) {
            (0..=1, _) => None,
            (2, _) => Some(Expected::Exists),
            (3, _) | (_, None) => Some(Expected::NoStream),
            (_, Some(revision)) => Some(Expected::Revision(Revision(revision))),
        };
        ((first..=self.tags).collect(), expected)
    }

    fn batch(&self, stream: &str, tags: &[Tag]) -> Batch {
        let event = |tag: &Tag| {
            let id = EventId::from_u128(u128::from(self.number + 1) << 64 | u128::from(*tag));
            Event::new("/linear", "e").id(id).build()
        };
        Batch::to_stream(stream, tags.iter().map(event))
    }

    async fn append(&mut self, stream: &str) -> Result<(), String> {
        let (tags, expected) = self.draw(stream);
        self.append_again(stream, tags, expected).await
    }

    async fn append_again(
        &mut self,
        stream: &str,
        tags: Vec<Tag>,
        expected: Option<Expected>,
    ) -> Result<(), String> {
        let batch = self.batch(stream, &tags);
        let begin = self.tick();
        let append = self.store.append(batch, condition(stream, expected), usual(&*self.store));
        let appended = within("append", append).await?;
        let answer = match appended {
            Ok(appended) => {
                if !appended.duplicate {
                    let end = self.tick();
                    self.record.appends.push(Append { begin, end, position: appended.position });
                }
                Answer::Appended(appended.revision.0)
            }
            Err(Error::Conflict { actual, .. }) => Answer::Conflict(actual.map(|revision| revision.0)),
            Err(error) if error.outcome() == Outcome::Unknown => Answer::Unknown,
            // It did not happen: should its events be seen all the same, nothing explains them.
            Err(_) => return Ok(()),
        };
        self.note(stream, Call::Append { tags, expected }, answer, begin);
        Ok(())
    }

    /// Begins an append and drops it: before it is polled, after it is, or a little later.
    async fn drop_append(&mut self, stream: &str) {
        let (tags, expected) = self.draw(stream);
        let batch = self.batch(stream, &tags);
        let begin = self.tick();
        let polls = self.rng.below(3);
        let mut append = self.store.append(batch, condition(stream, expected), usual(&*self.store));
        for _ in 0..polls {
            if append.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
        self.given_up.push((stream.to_owned(), tags.clone(), expected));
        self.note(stream, Call::Append { tags, expected }, Answer::Unknown, begin);
    }

    /// Appends again what it has given up.
    async fn repeat(&mut self) -> Result<(), String> {
        match self.given_up.pop() {
            Some((stream, tags, expected)) => self.append_again(&stream, tags, expected).await,
            None => Ok(()),
        }
    }

    async fn read_stream(&mut self, stream: &str) -> Result<(), String> {
        let begin = self.tick();
        let events = read(&*self.store, Query::stream(stream)).await?;
        let revisions: Vec<u64> = events.iter().map(|stored| stored.revision.0).collect();
        check_eq("revisions of a stream", &revisions, &(0..revisions.len() as u64).collect())?;
        let tags = events.iter().map(|stored| stored.event.id().as_u128() as u64).collect();
        self.note(stream, Call::Read, Answer::Events(tags), begin);
        Ok(())
    }

    async fn ask_revision(&mut self, stream: &str) -> Result<(), String> {
        let begin = self.tick();
        let revision = revision(&*self.store, stream).await?;
        self.note(stream, Call::Revision, Answer::Revision(revision.map(|revision| revision.0)), begin);
        Ok(())
    }
}

fn condition(stream: &str, expected: Option<Expected>) -> Condition {
    expected.map_or(Condition::Any, |expected| Condition::stream(stream, expected))
}
