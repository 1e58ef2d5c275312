//! The lives of one log: each with appends, faults and a crash, all out of one seed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog, survey_on};
use steadfast_base::disk::{Crash, Disk, DiskFault, Odds, OpenMode, SimDisk};
use steadfast_base::units::Size;
use steadfast_base::{Rng, Seed};
use steadfast_core::store::{
    Appended, Batch, Condition, Deleted, Durability, Error, EventStore, Expected, Filter, NewEvent, Position,
    Query, Revision, StoredEvent,
};
use steadfast_core::{Event, EventId};

use super::gate::Gate;
use super::history::{Found, History, What};
use super::planted::{Credulous, Plant};
use crate::support::{FOLDER, all, sim, small};
use crate::through::Through;

const STREAMS: [&str; 3] = ["a", "b", "c"];

/// A log under test.
pub(super) struct Log {
    log: FileLog,
    plant: Plant,
    pub(super) gate: Gate,
}

impl Log {
    pub(super) async fn append(
        &self,
        batch: Batch,
        condition: Condition,
        level: Durability,
    ) -> Result<Appended, Error> {
        let appended = self.log.append(batch.clone(), condition, level).await;
        match appended {
            Err(conflict @ Error::Conflict { .. }) if self.plant == Plant::LateCondition => {
                self.log.append(batch, Condition::Any, level).await?;
                Err(conflict)
            }
            appended => appended,
        }
    }
}

impl Log {
    pub(super) async fn delete(
        &self,
        stream: &Arc<str>,
        expected: Option<Expected>,
        level: Durability,
    ) -> Result<Deleted, Error> {
        if self.plant == Plant::EarlyDeletion {
            let deleted = self.log.delete(stream, expected, Durability::Accepted).await?;
            return Ok(Deleted { achieved: level, ..deleted });
        }
        self.log.delete(stream, expected, level).await
    }

    /// Returns all that is there.
    async fn found(&self) -> Result<Found, Error> {
        let head = self.log.head().await?.parts().0;
        Ok(Found { events: all(&self.log).await?, head })
    }
}

impl Drop for Log {
    /// A test that has failed must not keep the writer waiting.
    fn drop(&mut self) {
        self.gate.open();
    }
}

struct World {
    disk: SimDisk,
    rng: Rng,
    config: Config,
    plant: Plant,
    history: History,
    next_id: u64,
    /// How many batches were sent before this life.
    sent_before: usize,
}

/// Lives through one seed and returns what was in the log at the end of each life.
pub(super) async fn live(seed: u64, plant: Plant) -> Vec<Vec<StoredEvent>> {
    let mut rng = Seed::new(seed).stream("appends");
    let segment_size = Size::from_bytes(pick(&mut rng, &[4096, 4600, 8192]));
    let archive_behind = [None, Some(0), Some(2)][seed as usize % 3];
    let config = Config { segment_size, archive_behind, verify_on_open: seed % 4 == 3, ..small() };
    let mut world = World {
        disk: sim(seed),
        rng,
        config,
        plant,
        history: History::default(),
        next_id: 1,
        sent_before: 0,
    };
    // The first segment is made honestly, so that it is the events that are lost and not the log.
    if plant == Plant::NoSync {
        drop(world.open(&world.disk));
        world.disk.lie_about_sync(true);
    }
    let mut lives = Vec::new();
    for _ in 0..3 {
        lives.push(world.life().await);
    }
    lives
}

/// How a log is found whose disk has lied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiedTo {
    /// With all that was promised.
    Whole,
    /// Without the last of what was promised.
    Shortened,
    /// With a gap, which is told.
    Damaged,
}

/// Lives a life on an honest disk, one on a disk that lies, and if the log still opens, an honest one again.
pub(super) async fn live_on_a_liar(seed: u64) -> LiedTo {
    // The newest segment takes all that is new: what is lied about is what it holds, and not whether there is a log.
    let config = Config { segment_size: Size::from_bytes(256 << 10), ..small() };
    let mut world = World {
        disk: sim(seed),
        rng: Seed::new(seed).stream("appends"),
        config,
        plant: Plant::None,
        history: History::default(),
        next_id: 1,
        sent_before: 0,
    };
    world.life().await;
    let found = world.lied_to().await;
    if found != LiedTo::Damaged {
        world.life().await;
    }
    found
}

impl World {
    /// Appends while some syncs do nothing, crashes, and opens again. Nobody can keep a promise then; but all that was
    /// there before is there still, and of what is new whole batches in order, or the damage is told where it is.
    async fn lied_to(&mut self) -> LiedTo {
        self.disk.calm();
        let log = self.open_again("a log without damage opens");
        let before = self.history.count();
        let survey = survey_on(Arc::new(self.disk.process()), FOLDER).expect("a log");
        self.disk.set_odds(Odds { sync_lie: 0.7, write_back: 0.2, ..Odds::default() });
        for _ in 0..=self.rng.below(16) {
            let batch = self.batch(false, true);
            self.history.send(&log, &[batch]).await;
        }
        self.disk.crash(pick(&mut self.rng, &[Crash::Dropped, Crash::Torn]));
        drop(log);
        self.disk.crash(Crash::ProcessOnly);
        self.disk.calm();
        let promised = self.history.break_promises(before);
        let log = match self.open(&self.disk) {
            Err(Error::Damaged { place, problem }) => {
                let at = place.rsplit(' ').next().and_then(|at| at.parse::<u64>().ok());
                // The newest segment may be one that was prepared, so that it goes on in the one before.
                let known = survey.segments.iter().find(|segment| place.contains(&segment.file));
                let sound = known.map_or(0, |segment| segment.used);
                assert!(
                    at.is_some_and(|at| at >= sound),
                    "{place}: {problem}, though it has been sound up to {sound}"
                );
                return LiedTo::Damaged;
            }
            opened => opened.expect("it is whole, or damaged"),
        };
        self.history.check(&log.found().await.expect("readable"), Durability::Durable);
        match self.history.count() < promised {
            true => LiedTo::Shortened,
            false => LiedTo::Whole,
        }
    }

    fn open(&self, disk: &SimDisk) -> Result<Log, Error> {
        let process: Arc<dyn Disk> = Arc::new(disk.process());
        let disk = match self.plant {
            Plant::NoChecksum => Arc::new(Through::new(Credulous, process)),
            _ => process,
        };
        let gate = Gate::default();
        let disk = Arc::new(Through::new(gate.clone(), disk));
        let log = FileLog::open_on(disk, FOLDER, self.config.clone())?;
        Ok(Log { log, plant: self.plant, gate })
    }

    /// Opens, appends, crashes, opens again and checks.
    async fn life(&mut self) -> Vec<StoredEvent> {
        let crash = pick(&mut self.rng, &[Crash::Dropped, Crash::Torn, Crash::Torn, Crash::ProcessOnly]);
        let failed_syncs = self.disk.failed_syncs();
        self.open_in_bad_weather(crash);
        let log = self.open_again("a log without damage opens");
        self.sent_before = self.history.sent.len();
        self.make_weather();
        let grouped = self.rng.chance(0.5);
        for _ in 0..self.rng.below(16) {
            if self.rng.chance(0.2) {
                self.delete(&log).await;
            }
            if self.rng.chance(0.1) {
                self.history.rewritten(&log.log.erase().await.map(drop));
            }
            if self.rng.chance(0.1) {
                self.history.rewritten(&log.log.archive(self.rng.below(3) as u32).await.map(drop));
            }
            let width = if grouped { 2 + self.rng.below(4) } else { 1 };
            let batches: Vec<_> = (0..width).map(|at| self.batch(grouped, at + 1 == width)).collect();
            self.history.send(&log, &batches).await;
        }
        let closed = self.rng.chance(0.2) && log.log.close().await.is_ok();
        if closed {
            self.history.closed();
        }
        self.disk.crash(crash);
        drop(log);
        self.disk.crash(Crash::ProcessOnly);
        self.disk.limit_space(None);

        if self.plant == Plant::None && self.rng.chance(0.5) {
            self.flip(closed).await;
        }
        self.open_in_bad_weather(crash);
        let log = self.open_again("a crash is not damage");
        let found = log.found().await.expect("readable");
        // What the process wrote is still there, unless a sync failed and the cache has dropped it.
        let sound = crash == Crash::ProcessOnly && self.disk.failed_syncs() == failed_syncs;
        self.history.check(&found, if sound { Durability::Written } else { Durability::Durable });
        for stream in STREAMS {
            let revision = log.log.revision(stream).await.expect("open");
            assert_eq!(revision.map(|revision| revision.0), self.history.now.revision(stream), "{stream}");
            let query = Query { filter: Filter::stream(stream), ..Query::default() };
            let of_it: Vec<_> = log.log.read(query).try_collect().await.expect("readable");
            let expected = found.events.iter().filter(|stored| &*stored.stream == stream);
            assert!(of_it.iter().eq(expected), "{stream}: {of_it:?}");
        }
        found.events
    }

    /// Deletes a stream, or tries to.
    async fn delete(&mut self, log: &Log) {
        let stream: Arc<str> = pick(&mut self.rng, &STREAMS).into();
        let level = pick(&mut self.rng, &[Durability::Durable, Durability::Durable, Durability::Written]);
        let revision = self.history.now.revision(&stream).unwrap_or_default();
        let expected = match self.rng.below(5) {
            0 => Some(Expected::Exists),
            1 => Some(Expected::NoStream),
            2 => Some(Expected::Revision(Revision(revision + self.rng.below(2)))),
            _ => None,
        };
        self.history.delete(log, &stream, expected, level).await;
    }

    /// Flips a bit of a copy, opens it, and compares what is found with what another copy holds.
    async fn flip(&self, closed: bool) {
        let (whole, flipped) = (self.disk.fork(), self.disk.fork());
        let Some((file, byte)) = flipped.flip_random_bit() else { return };
        let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let read = async |disk: &SimDisk| self.open(disk)?.found().await;
        let whole = read(&whole).await.expect("it is not damaged");
        // Errors count the bytes of an archived segment as they were before.
        let mut version = [0; 9];
        let opened = self.disk.fork().process().open(&file, OpenMode::Read).expect("it is there");
        opened.read_at(&mut version, 0).expect("read");
        let archived = version.starts_with(b"STEADLOG") && version[8] == 3;
        self.history.check_flipped(read(&flipped).await, &whole, (&name, byte, archived), closed);
    }

    /// Opens the log while all goes wrong; what it leaves behind is opened by somebody else.
    fn open_in_bad_weather(&mut self, crash: Crash) {
        match self.rng.below(6) {
            0 => self.disk.power_off_after(self.rng.below(40)),
            1 => self.disk.set_odds(Odds {
                read_error: 0.03,
                write_error: 0.03,
                write_full: 0.03,
                sync_error: 0.3,
                write_back: 0.3,
                evict: 0.2,
                ..Odds::default()
            }),
            2 => self.disk.fail(DiskFault::FolderSyncError { skip: self.rng.below(3) }),
            _ => return,
        }
        drop(self.open(&self.disk));
        match self.disk.is_off() {
            true => self.disk.crash(crash),
            false => self.disk.calm(),
        }
        // The cache may drop what the failed syncs have left while the next one opens the log.
        self.disk.set_odds(Odds { evict: pick(&mut self.rng, &[0.0, 0.05]), ..Odds::default() });
    }

    /// Opens the log in weather in which the cache alone may still change under it.
    fn open_again(&self, what: &str) -> Log {
        (0..50)
            .find_map(|_| match self.open(&self.disk) {
                Err(Error::Io { .. }) => None,
                opened => Some(opened.expect(what)),
            })
            .expect("the cache has nothing more to drop in the end")
    }

    /// Chooses what goes wrong while batches are appended.
    fn make_weather(&mut self) {
        let rng = &mut self.rng;
        let skip = rng.below(20);
        self.disk.set_odds(match rng.below(4) {
            0 => Odds { write_back: 0.3, ..Odds::default() },
            1 => Odds { write_back: 0.3, evict: 0.1, sync_error: 0.02, read_error: 0.01, ..Odds::default() },
            _ => Odds::default(),
        });
        match rng.below(10) {
            0 => self.disk.fail(DiskFault::SyncError { skip }),
            1 => self.disk.fail(DiskFault::WriteError { skip }),
            2 => self.disk.fail(DiskFault::WriteFull { skip }),
            3 => self.disk.limit_space(Some(4096 + rng.below(20_000))),
            4..=7 => self.disk.power_off_after(rng.below(60)),
            _ => {}
        }
    }

    /// Chooses a batch, new or sent before. The last of a group is waited for.
    fn batch(&mut self, grouped: bool, last: bool) -> (usize, Durability) {
        let mut levels = vec![Durability::Durable, Durability::Durable, Durability::Written];
        if grouped && !last {
            levels.push(Durability::Accepted);
        }
        let level = pick(&mut self.rng, &levels);
        // What an earlier life has sent is looked up on the disk, which takes more than one poll.
        let known = if grouped { self.sent_before } else { 0 };
        if self.history.sent.len() > known && self.rng.chance(0.15) {
            let again = known + self.rng.below((self.history.sent.len() - known) as u64) as usize;
            let sent = &self.history.sent[again];
            let scans = matches!(sent.condition, Condition::NoneMatching { .. });
            if matches!(sent.what, What::Append(_)) && !(grouped && scans) {
                return (again, level);
            }
        }
        let mut stream = pick(&mut self.rng, &STREAMS);
        let mut events = Vec::new();
        for _ in 0..=self.rng.below(3) {
            if self.rng.chance(0.2) {
                stream = pick(&mut self.rng, &STREAMS);
            }
            events.push(NewEvent { stream: stream.into(), event: event(self.next_id) });
            self.next_id += 1;
        }
        let condition = self.condition(grouped);
        (self.history.add(Batch { events }, condition), level)
    }

    fn condition(&mut self, grouped: bool) -> Condition {
        let rng = &mut self.rng;
        let stream = pick(rng, &STREAMS);
        let now = &self.history.now;
        let count = now.revision(stream).map_or(0, |revision| revision + 1);
        let revision = |count: u64| Expected::Revision(Revision(count.wrapping_sub(1)));
        match rng.below(10) {
            0..=2 if count > 0 => Condition::stream(stream, revision(count)),
            3 => Condition::stream(stream, revision(count + rng.below(3))),
            4 => Condition::stream(stream, Expected::NoStream),
            5 => Condition::stream(stream, Expected::Exists),
            6 | 7 => {
                // In a group the answer must be in memory, or the order of what happens is left to chance.
                let back = if grouped { 0 } else { rng.below(6) };
                let after = Position::from_parts((now.slots.len() as u64).saturating_sub(back), 0);
                let subjects = vec![format!("s{}", self.next_id.saturating_sub(rng.below(8))).into()];
                let filter = match rng.chance(0.5) {
                    true => Filter::stream(stream),
                    false => Filter { subjects, ..Filter::default() },
                };
                Condition::NoneMatching { filter, after }
            }
            _ => Condition::Any,
        }
    }
}

/// An event whose identity is `id`; its time is always the same, for it changes how long the event is.
fn event(id: u64) -> Event {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Event::restore(EventId::from_u128(id.into()), "/test", "tested", time).subject(format!("s{id}")).build()
}

fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

/// The number of the segment that a path names.
pub(super) fn segment_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()
}
