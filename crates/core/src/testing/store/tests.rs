//! The suite itself under test: it passes a sound store that survives crashes, and catches each defect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{BoxStream, StreamExt};
use parking_lot::Mutex;

use super::{Crash, StoreFactory};
use crate::store::{
    Appended, Archived, Batch, Capabilities, Condition, Deleted, Durability, Error, EventStore, Expected,
    Filter, MemoryStore, Position, Query, Revision, StoredEvent,
};

/// What is wrong with a store on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Defect {
    SkipsSync,
    WritesLate,
    ShowsWhatIsNotWritten,
    IgnoresDuplicates,
    TearsTheLastBatch,
    IgnoresConditions,
    ForgetsDuplicates,
    SplitsBatches,
    DropsLiveEvents,
    RepeatsLiveEvents,
    IgnoresLimits,
    ShowsSomeEventsLate,
    LowersDurability,
    StaysOpen,
    ForgetsDeletions,
    OnlySaysThatItDeletes,
    ReadsStale,
    AcknowledgesConflicts,
    LosesWhatItArchives,
}

/// What was done to a store.
#[derive(Debug)]
enum Record {
    Append(Batch),
    Delete(String),
}

/// The records that the operating system has, and how many of them the medium has.
#[derive(Debug, Default)]
struct Medium {
    written: Vec<Record>,
    synced: usize,
    /// Which store may write: one that crashed may not.
    owner: u64,
}

struct Store {
    memory: MemoryStore,
    medium: Arc<Mutex<Medium>>,
    number: u64,
    defect: Option<Defect>,
    archived: AtomicBool,
}

impl Store {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn append_now(&self, batch: &Batch, condition: Condition, asked: Durability) -> Result<Appended, Error> {
        let mut medium = self.medium.lock();
        if medium.owner != self.number {
            return Err(Error::Poisoned);
        }
        let max = self.capabilities().durability_max;
        if asked > max && !self.has(Defect::LowersDurability) {
            return Err(Error::unsupported_durability(asked));
        }
        let condition = if self.has(Defect::IgnoresConditions) { Condition::Any } else { condition };
        let append = self.memory.append(batch.clone(), condition, Durability::Accepted);
        let mut appended = match append.now_or_never().expect("memory never waits") {
            // As if the batch that came first were this one.
            Err(Error::Conflict { actual: Some(revision), .. })
                if self.has(Defect::AcknowledgesConflicts) =>
            {
                let position = self.memory.head().now_or_never().expect("memory never waits")?;
                return Ok(Appended { position, revision, achieved: asked, duplicate: false });
            }
            appended => appended?,
        };
        let late = self.has(Defect::WritesLate)
            || self.has(Defect::ShowsWhatIsNotWritten) && asked == Durability::Accepted;
        if !appended.duplicate && !late {
            medium.written.push(Record::Append(batch.clone()));
        }
        let ignored = appended.duplicate && self.has(Defect::IgnoresDuplicates);
        if asked >= Durability::Durable && !self.has(Defect::SkipsSync) && !ignored {
            medium.synced = medium.written.len();
        }
        appended.achieved = asked.min(max);
        appended.duplicate &= !self.has(Defect::ForgetsDuplicates);
        Ok(appended)
    }
}

impl EventStore for Store {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Durable, true, u64::MAX).deletes().archives()
    }

    fn archive(&self, _kept: u32) -> BoxFuture<'_, Result<Archived, Error>> {
        self.archived.store(true, Ordering::SeqCst);
        std::future::ready(Ok(Archived::default())).boxed()
    }

    fn delete<'a>(
        &'a self,
        stream: &'a str,
        expected: Option<Expected>,
        durability: Durability,
    ) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            if self.has(Defect::OnlySaysThatItDeletes) {
                return Ok(Deleted { events: 3, achieved: durability });
            }
            let mut medium = self.medium.lock();
            let expected = expected.filter(|_| !self.has(Defect::IgnoresConditions));
            let deleted = self.memory.delete(stream, expected, Durability::Accepted);
            let deleted = deleted.now_or_never().expect("memory never waits")?;
            if !self.has(Defect::ForgetsDeletions) {
                medium.written.push(Record::Delete(stream.to_owned()));
                medium.synced = medium.written.len();
            }
            Ok(Deleted { achieved: durability, ..deleted })
        })
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            if !self.has(Defect::SplitsBatches) || batch.events.len() < 2 {
                return self.append_now(&batch, condition, durability);
            }
            let mut place = None;
            for new in batch.events {
                place = Some(self.append_now(&Batch { events: vec![new] }, Condition::Any, durability)?);
                tokio::task::yield_now().await;
            }
            Ok(place.expect("the batch has two events"))
        })
    }

    fn read(&self, mut query: Query) -> BoxStream<'_, Result<StoredEvent, Error>> {
        if self.has(Defect::IgnoresLimits) {
            query.limit = None;
        }
        let newest = self.memory.head().now_or_never().and_then(Result::ok).map_or(0, |head| head.parts().0);
        // Of the newest batch of three the second event, but not of the batch that ends a stream of 120.
        let shown = move |stored: &Result<StoredEvent, Error>| {
            let Ok(StoredEvent { position, revision, .. }) = stored else { return true };
            position.parts().0 + 3 <= newest || revision.0 % 3 != 1 || revision.0 >= 117
        };
        // Now and then the newest batch of a stream is not there yet.
        let stale = self.has(Defect::ReadsStale) && !query.filter.streams.is_empty() && newest % 5 == 4;
        let events = self.memory.read(query);
        if stale {
            let old = move |stored: &Result<StoredEvent, Error>| {
                stored.as_ref().is_ok_and(|stored| stored.position.parts().0 < newest)
            };
            return events.filter(move |stored| std::future::ready(old(stored))).boxed();
        }
        if self.has(Defect::LosesWhatItArchives) && self.archived.load(Ordering::SeqCst) {
            return events.skip(1).boxed();
        }
        if self.has(Defect::ShowsSomeEventsLate) {
            return events.filter(move |stored| std::future::ready(shown(stored))).boxed();
        }
        events
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, Error>> {
        let events = self.memory.subscribe(filter, after).enumerate();
        let defect = self.defect;
        events
            .flat_map(move |(index, stored)| {
                // The last event always comes, so that the case need not wait for it.
                let end = stored.as_ref().is_ok_and(|stored| stored.event.kind() == "end");
                let times = match defect {
                    Some(Defect::DropsLiveEvents) if index % 10 == 9 && !end => 0,
                    Some(Defect::RepeatsLiveEvents) if index % 10 == 9 => 2,
                    _ => 1,
                };
                futures::stream::iter(std::iter::repeat_n(stored, times))
            })
            .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, Error>> {
        self.memory.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, Error>> {
        self.memory.revision(stream)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        if self.has(Defect::StaysOpen) { std::future::ready(Ok(())).boxed() } else { self.memory.close() }
    }
}

pub(in crate::testing) struct Factory {
    medium: Arc<Mutex<Medium>>,
    defect: Option<Defect>,
}

impl Factory {
    pub(in crate::testing) fn new(defect: Option<Defect>) -> Self {
        Self { medium: Arc::default(), defect }
    }

    fn start(&self) -> Arc<dyn EventStore> {
        let mut medium = self.medium.lock();
        medium.owner += 1;
        let memory = MemoryStore::new();
        for record in &medium.written {
            let done = match record {
                Record::Append(batch) => {
                    let append = memory.append(batch.clone(), Condition::Any, Durability::Accepted);
                    append.now_or_never().map(|appended| appended.map(drop))
                }
                Record::Delete(stream) => {
                    let delete = memory.delete(stream, None, Durability::Accepted);
                    delete.now_or_never().map(|deleted| deleted.map(drop))
                }
            };
            done.expect("memory never waits").expect("it was done before");
        }
        let (medium, number) = (Arc::clone(&self.medium), medium.owner);
        Arc::new(Store { memory, medium, number, defect: self.defect, archived: AtomicBool::new(false) })
    }
}

impl StoreFactory for Factory {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async { self.start() })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(Box::pin(async { self.start() }))
    }

    fn crash(&mut self, crash: Crash) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        {
            let mut medium = self.medium.lock();
            medium.owner += 1;
            if crash == Crash::Power {
                let synced = medium.synced;
                medium.written.truncate(synced);
            }
            if self.defect == Some(Defect::TearsTheLastBatch) {
                let batches = medium.written.iter_mut().rev().filter_map(|record| match record {
                    Record::Append(batch) => Some(batch),
                    Record::Delete(_) => None,
                });
                let torn = batches.into_iter().find(|batch| batch.events.len() > 1);
                torn.expect("batches of several events were appended").events.pop();
            }
        }
        Some(Box::pin(async { self.start() }))
    }
}

crate::store_conformance!(Factory::new(None));

/// Asserts that a case finds a defect.
/// How often a case may run until it finds a planted defect: most show only when something happens at the same time.
pub(in crate::testing) const TRIES: usize = 5;

macro_rules! caught {
    ($($name:ident: $defect:ident by $case:ident)*) => {
        $(
            #[test]
            fn $name() {
                let passes = || super::run(super::$case(&mut Factory::new(Some(Defect::$defect)))).is_ok();
                assert!((0..TRIES).any(|_| !passes()), "the defect went unnoticed");
            }
        )*
    };
}

caught! {
    catches_a_missing_sync: SkipsSync by durable_batches_survive_the_loss_of_power
    catches_a_late_write: WritesLate by written_batches_survive_the_death_of_the_process
    catches_events_shown_too_early: ShowsWhatIsNotWritten by events_seen_survive_the_death_of_the_process
    catches_duplicates_that_are_not_synced: IgnoresDuplicates by duplicates_are_raised_to_the_durability_asked_for
    catches_duplicates_told_as_new: ForgetsDuplicates by batches_appended_twice_at_once_stand_once
    catches_a_torn_batch: TearsTheLastBatch by durable_batches_survive_the_loss_of_power
    catches_ignored_stream: IgnoresConditions by expected_no_stream
    catches_ignored_existence: IgnoresConditions by expected_exists
    catches_ignored_revision: IgnoresConditions by expected_revision
    catches_ignored_filter: IgnoresConditions by none_matching
    catches_ignored_conflict: IgnoresConditions by a_conflict_leaves_nothing_behind
    catches_lost_updates: IgnoresConditions by one_of_many_concurrent_writers_wins_each_revision
    catches_forgotten_duplicates: ForgetsDuplicates by duplicate_batches_return_their_place
    catches_dropped_appends_that_are_split: SplitsBatches by dropped_appends_are_whole_or_absent
    catches_split_batches: SplitsBatches by readers_never_see_part_of_a_batch
    catches_a_gap: DropsLiveEvents by subscriptions_have_no_gap_and_no_repeat
    catches_a_repeat: RepeatsLiveEvents by subscriptions_have_no_gap_and_no_repeat
    catches_ignored_limits: IgnoresLimits by queries_honour_direction_from_and_limit
    catches_events_behind_a_reader: ShowsSomeEventsLate by a_reader_never_passes_a_later_event
    catches_lowered_durability: LowersDurability by unsupported_durability_is_refused
    catches_deletions_that_are_forgotten: ForgetsDeletions by a_deleted_stream_is_empty_and_goes_on
    catches_deletions_that_are_only_said: OnlySaysThatItDeletes by deleted_events_do_not_come_back
    catches_deletions_without_condition: IgnoresConditions by a_deleted_stream_is_empty_and_goes_on
    catches_a_stale_read: ReadsStale by histories_are_linearizable
    catches_a_conflict_that_is_acknowledged: AcknowledgesConflicts by histories_are_linearizable
    catches_conditions_that_race: IgnoresConditions by histories_are_linearizable
    catches_batches_in_parts: SplitsBatches by histories_are_linearizable
    catches_an_archive_that_lacks_something: LosesWhatItArchives by archiving_changes_nothing_that_is_read
    catches_a_store_that_stays_open: StaysOpen by a_closed_store_refuses
}
