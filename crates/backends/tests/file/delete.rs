//! Streams that are deleted: nobody reads them any more, and erasing takes them off the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use steadfast_backends::file::{Config, FileLog, FileLogReader, repair_on, survey_on};
use steadfast_base::Rng;
use steadfast_base::disk::{Crash, Disk, DiskFault, OpenMode, SimDisk};
use steadfast_core::Event;
use steadfast_core::store::{
    Batch, Condition, Direction, Durability, Error, EventStore, Expected, Filter, MemoryStore, NewEvent,
    Position, Query, Revision, StoredEvent,
};
use steadfast_core::testing;

use crate::support::{FOLDER, all, append, event, ids, open, sim, small, try_append, verify};

/// What nobody may find once it is erased.
const SECRET: &[u8] = b"Ada Lovelace";

async fn tell_secret(log: &FileLog, stream: &str) {
    let event = Event::new("/customers", "customer.named").data("text/plain", SECRET.to_vec());
    let batch = Batch::to_stream(stream, [event]);
    log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
}

async fn delete(log: &dyn EventStore, stream: &str) -> u64 {
    log.delete(stream, None, Durability::Durable).await.expect("deleted").events
}

/// Says in which files of the log the secret is.
fn told(disk: &SimDisk) -> Vec<String> {
    let process = disk.process();
    let files = process.list(FOLDER.as_ref()).expect("a folder");
    let holds = |name: &String| {
        let Ok(file) = process.open(&Path::new(FOLDER).join(name), OpenMode::Read) else { return false };
        let mut bytes = vec![0; file.length().expect("known") as usize];
        file.read_at(&mut bytes, 0).expect("read");
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    };
    files.into_iter().filter(holds).collect()
}

fn segment(number: u32) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:010}.log"))
}

#[tokio::test]
async fn what_is_deleted_stays_on_the_disk_until_it_is_erased_and_not_longer() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "other", [1, 2]).await;
    tell_secret(&log, "gone").await;
    for id in 10..100 {
        append(&log, "other", [id]).await;
    }
    tell_secret(&log, "gone").await;
    append(&log, "other", [3]).await;
    assert_eq!(log.erase().await.expect("nothing to do").segments, 0);
    let before = all(&log).await.expect("readable");
    assert_eq!(delete(&log, "gone").await, 2);
    assert_eq!(told(&disk).len(), 2, "one segment is finished and one is written to");

    let erased = log.erase().await.expect("erased");
    assert_eq!((erased.events, erased.segments), (2, 2));
    assert_eq!(told(&disk), [""; 0]);
    assert_eq!(log.erase().await.expect("nothing is left").segments, 0);
    let kept = |stored: &&StoredEvent| &*stored.stream == "other";
    let check = async |log: &dyn EventStore| {
        let found = all(log).await.expect("readable");
        assert!(found.iter().eq(before.iter().filter(kept)), "all others are where they were");
        assert_eq!(log.revision("gone").await.expect("open"), None);
    };
    check(&log).await;
    // What is erased is erased durably.
    disk.crash(Crash::Dropped);
    drop(log);
    assert_eq!(told(&disk), [""; 0]);
    for open in [open, verify] {
        let fork = disk.fork();
        let log = open(&fork).expect("opened");
        check(&log).await;
        assert_eq!(append(&log, "gone", [1000]).await.revision, Revision(2));
        log.close().await.expect("closed");
    }
    check(&FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened")).await;
}

#[tokio::test]
async fn batches_that_were_erased_are_still_known() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let first = append(&log, "gone", [1, 2]).await;
    delete(&log, "gone").await;
    for open in [open, verify] {
        log.erase().await.expect("erased");
        append(&log, "other", [100]).await;
        let fork = disk.fork();
        fork.crash(Crash::Dropped);
        let log = open(&fork).expect("opened");
        let again = append(&log, "gone", [1, 2]).await;
        assert!(again.duplicate, "{again:?}");
        assert_eq!((again.position, again.revision), (first.position, Revision(1)));
    }
}

/// Sends the same to a log and to memory, and compares what both say.
struct Twins {
    memory: MemoryStore,
    rng: Rng,
    next_id: u64,
}

impl Twins {
    async fn append(&mut self, log: &FileLog) {
        let events = (0..=self.rng.below(3)).map(|_| {
            self.next_id += 1;
            NewEvent { stream: self.stream(), event: event(self.next_id) }
        });
        let batch = Batch { events: events.collect::<Vec<_>>() };
        let condition = match self.rng.below(4) {
            0 => Condition::stream(self.stream(), Expected::NoStream),
            1 => Condition::stream(self.stream(), Expected::Exists),
            2 => {
                let after = Position::from_parts(self.rng.below(self.next_id), 0);
                let filter = match self.rng.chance(0.5) {
                    true => Filter::stream(self.stream()),
                    false => Filter {
                        subjects: vec![format!("s{}", self.rng.below(self.next_id)).into()],
                        ..Filter::default()
                    },
                };
                Condition::NoneMatching { filter, after }
            }
            _ => Condition::Any,
        };
        let expected = self.memory.append(batch.clone(), condition.clone(), Durability::Accepted).await;
        let appended = log.append(batch, condition.clone(), Durability::Written).await;
        let place = |appended: Result<steadfast_core::store::Appended, Error>| {
            appended.map(|appended| (appended.position, appended.revision)).map_err(|error| error.to_string())
        };
        assert_eq!(place(appended), place(expected), "{condition:?}");
    }

    async fn delete(&mut self, log: &FileLog) {
        let stream = self.stream();
        let expected = self.rng.chance(0.3).then_some(Expected::Exists);
        let there = self.memory.delete(&stream, expected, Durability::Accepted).await;
        let deleted = log.delete(&stream, expected, Durability::Accepted).await;
        let events = |deleted: Result<steadfast_core::store::Deleted, Error>| {
            deleted.map(|deleted| deleted.events).map_err(|error| error.to_string())
        };
        assert_eq!(events(deleted), events(there), "{stream}");
    }

    async fn compare(&mut self, log: &dyn EventStore, what: &str) {
        let expected = all(&self.memory).await.expect("readable");
        assert_eq!(all(log).await.expect("readable"), expected, "{what}");
        assert_eq!(log.head().await.expect("open"), self.memory.head().await.expect("open"), "{what}");
        for _ in 0..20 {
            let streams = (0..=self.rng.below(3)).map(|_| self.stream()).collect();
            let direction = if self.rng.chance(0.5) { Direction::Forward } else { Direction::Backward };
            let from =
                self.rng.chance(0.7).then(|| Position::from_parts(self.rng.below(self.next_id + 2), 0));
            let limit = self.rng.chance(0.5).then(|| self.rng.below(20));
            let filter = match self.rng.chance(0.7) {
                true => Filter { streams, ..Filter::default() },
                false => Filter::all(),
            };
            let query = Query { filter, from, direction, limit };
            let found: Vec<_> = log.read(query.clone()).try_collect().await.expect("readable");
            let expected: Vec<_> = self.memory.read(query.clone()).try_collect().await.expect("readable");
            assert_eq!(found, expected, "{what}: {query:?}");
        }
        for stream in 0..STREAMS {
            let stream = format!("stream-{stream}");
            let revision = self.memory.revision(&stream).await.expect("open");
            assert_eq!(log.revision(&stream).await.expect("open"), revision, "{what}: {stream}");
        }
    }

    fn stream(&mut self) -> Arc<str> {
        let stream = if self.rng.chance(0.5) { self.rng.below(3) } else { self.rng.below(STREAMS) };
        format!("stream-{stream}").into()
    }
}

const STREAMS: u64 = 40;

#[tokio::test]
async fn streams_come_and_go_as_they_do_in_memory() {
    let seed = testing::seed();
    let mut twins = Twins { memory: MemoryStore::new(), rng: seed.rng(), next_id: 0 };
    let disk = sim(1);
    for round in 0..6 {
        let archive_behind = (round % 2 == 1).then_some(2);
        let config = Config { verify_on_open: round % 3 == 2, archive_behind, ..small() };
        let log = FileLog::open_on(Arc::new(disk.process()), FOLDER, config).expect("opened");
        twins.compare(&log, &format!("round {round}, opened")).await;
        let reader = FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened");
        for _ in 0..120 {
            match twins.rng.below(20) {
                0 => {
                    log.erase().await.expect("erased");
                }
                1 => {
                    let kept = twins.rng.below(3) as u32;
                    log.archive(kept).await.expect("archived");
                }
                2..=5 => twins.delete(&log).await,
                _ => twins.append(&log).await,
            }
        }
        twins.compare(&log, &format!("round {round}")).await;
        // Whoever reads waits for nothing, and what was merely accepted may not be written yet.
        log.delete("nothing", None, Durability::Written).await.expect("all is written");
        twins.compare(&reader, &format!("round {round}, from another process")).await;
        if round % 2 == 0 {
            log.close().await.expect("closed");
        } else {
            disk.crash(Crash::ProcessOnly);
        }
        drop((log, reader));
        disk.crash(Crash::ProcessOnly);
        let reader = FileLogReader::open_on(Arc::new(disk.process()), FOLDER).expect("opened");
        twins.compare(&reader, &format!("round {round}, opened by a reader")).await;
        let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
        let there = all(&twins.memory).await.expect("readable").len() as u64;
        assert!(survey.damages.is_empty(), "{survey:?}");
        assert_eq!((survey.events, survey.deleted), (there, survey.head - there), "{survey:?}");
    }
}

#[tokio::test]
async fn erasing_may_end_at_any_moment() {
    // The same each time, but for when the power goes.
    let prepared = async || {
        let disk = sim(1);
        let log = open(&disk).expect("opened");
        for id in 0..60 {
            append(&log, "kept", [id]).await;
            if id % 20 == 0 {
                tell_secret(&log, "gone").await;
            }
        }
        let kept = {
            delete(&log, "gone").await;
            all(&log).await.expect("readable")
        };
        (disk, log, kept)
    };
    let mut finished = false;
    for moment in 0..300 {
        let (disk, log, kept) = prepared().await;
        disk.power_off_after(moment);
        finished = log.erase().await.is_ok() && !disk.is_off();
        drop(log);
        disk.crash([Crash::Dropped, Crash::Torn, Crash::ProcessOnly][moment as usize % 3]);
        disk.calm();
        let log = open(&disk).expect("it is not damaged");
        assert_eq!(all(&log).await.expect("readable"), kept, "moment {moment}");
        log.erase().await.expect("erased");
        assert_eq!(all(&log).await.expect("readable"), kept, "moment {moment}");
        assert_eq!(told(&disk), [""; 0], "moment {moment}");
        drop(log);
        let log = verify(&disk).expect("all is as it should be");
        assert_eq!(all(&log).await.expect("readable"), kept, "moment {moment}");
        if finished {
            break;
        }
    }
    assert!(finished, "there are more moments");
}

#[tokio::test]
async fn a_disk_that_fails_while_it_is_erased_leaves_the_log_as_it_was() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    tell_secret(&log, "gone").await;
    append(&log, "kept", [1]).await;
    delete(&log, "gone").await;
    // The segment that it was in is finished then, so that the log itself needs no room.
    while disk.process().open(&segment(2), OpenMode::Read).is_err() {
        append(&log, "kept", [ids(&log).await.len() as u64 + 1]).await;
    }
    let mut kept = ids(&log).await;
    for fault in 0..4 {
        match fault {
            0 => disk.limit_space(Some(1000)),
            // The first write, and the first sync, is that of the frame which tells that the deletion is durable.
            1 => disk.fail(DiskFault::WriteFull { skip: 1 }),
            2 => disk.fail(DiskFault::SyncError { skip: 1 }),
            _ => disk.fail(DiskFault::FolderSyncError { skip: 0 }),
        }
        let failed = log.erase().await;
        assert!(matches!(failed, Err(Error::Io { .. } | Error::Full)), "fault {fault}: {failed:?}");
        disk.limit_space(None);
        assert_eq!(ids(&log).await, kept, "fault {fault}");
        let more = try_append(&log, "more", [1000 + fault], Durability::Durable).await;
        more.unwrap_or_else(|error| panic!("fault {fault}: it does not go on: {error}"));
        kept.push(1000 + fault);
    }
    log.erase().await.expect("erased");
    assert_eq!(told(&disk), [""; 0]);
    assert_eq!(ids(&log).await, kept);
}

#[tokio::test]
async fn a_deletion_that_is_damaged_after_it_was_erased_is_noticed() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "gone", [1]).await;
    let written = survey_on(Arc::new(disk.process()), FOLDER).expect("a log").segments[0].used;
    delete(&log, "gone").await;
    log.erase().await.expect("erased");
    disk.crash(Crash::Dropped);
    drop(log);
    disk.flip_bit(&segment(1), written + 33, 1);
    let opened = open(&disk).map(drop);
    assert!(matches!(&opened, Err(Error::Damaged { .. })), "{opened:?}");
}

#[tokio::test]
async fn a_repair_does_not_bring_back_what_was_deleted_behind_the_damage() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "gone", [1]).await;
    append(&log, "kept", [2]).await;
    let damage = survey_on(Arc::new(disk.process()), FOLDER).expect("a log").segments[0].used;
    append(&log, "kept", [3]).await;
    delete(&log, "gone").await;
    log.close().await.expect("closed");
    drop(log);
    disk.flip_bit(&segment(1), damage + 40, 0);
    let repaired = repair_on(Arc::new(disk.process()), FOLDER).expect("repaired").expect("there was damage");
    assert_eq!((repaired.damage.byte, repaired.events_cut, repaired.streams_deleted), (damage, 0, 1));
    let log = open(&disk).expect("opened");
    assert_eq!(ids(&log).await, [2]);
}

/// A log of which `gone` is deleted behind what is damaged.
async fn damaged_before_a_deletion() -> SimDisk {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "gone", [1]).await;
    append(&log, "kept", [2]).await;
    let damage = survey_on(Arc::new(disk.process()), FOLDER).expect("a log").segments[0].used;
    for id in 3..40 {
        append(&log, "kept", [id]).await;
    }
    delete(&log, "gone").await;
    for id in 40..80 {
        append(&log, "kept", [id]).await;
    }
    log.close().await.expect("closed");
    drop(log);
    disk.flip_bit(&segment(1), damage + 40, 0);
    disk
}

/// Checks a log after a repair that may not have come to its end, which is `repeated` or not.
async fn check_repaired(disk: &SimDisk, repeated: bool, what: &str) {
    let repair = || repair_on(Arc::new(disk.process()), FOLDER);
    if repeated {
        repair().unwrap_or_else(|error| panic!("{what}: it can be repeated, but {error}"));
    }
    match FileLogReader::open_on(Arc::new(disk.process()), FOLDER) {
        Ok(reader) => assert!(!ids(&reader).await.contains(&1), "{what}"),
        Err(Error::Damaged { .. }) => assert!(!repeated, "{what}"),
        Err(error) => panic!("{what}: {error}"),
    }
    match verify(disk) {
        Err(Error::Damaged { .. }) if !repeated => drop(repair().expect("repaired")),
        opened => assert_eq!(ids(&opened.expect("opened")).await, [2], "{what}"),
    }
    // Once is enough: what comes later stays.
    let log = open(disk).expect("opened");
    append(&log, "gone", [1000]).await;
    drop(log);
    assert_eq!(ids(&open(disk).expect("opened")).await, [2, 1000], "{what}");
}

#[tokio::test]
async fn a_repair_that_ends_at_any_moment_does_not_bring_back_what_was_deleted() {
    let mut finished = false;
    for moment in 0..400 {
        let disk = damaged_before_a_deletion().await;
        disk.power_off_after(moment);
        finished = repair_on(Arc::new(disk.process()), FOLDER).is_ok() && !disk.is_off();
        disk.crash([Crash::Dropped, Crash::Torn, Crash::ProcessOnly][moment as usize % 3]);
        disk.calm();
        check_repaired(&disk, moment % 2 == 0, &format!("moment {moment}")).await;
        if finished {
            break;
        }
    }
    assert!(finished, "there are more moments");
}

#[tokio::test]
async fn a_repair_that_has_no_room_does_not_bring_back_what_was_deleted() {
    let mut finished = false;
    for skip in 0..400 {
        let disk = damaged_before_a_deletion().await;
        disk.fail(DiskFault::WriteFull { skip });
        finished = repair_on(Arc::new(disk.process()), FOLDER).is_ok();
        disk.calm();
        check_repaired(&disk, skip % 2 == 0, &format!("write {skip}")).await;
        if finished {
            break;
        }
    }
    assert!(finished, "there are more writes");
}

/// Where there is no room for the next segment, erasing is refused, and the log goes on.
#[tokio::test]
async fn erasing_on_a_full_disk_fails_alone() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    tell_secret(&log, "gone").await;
    delete(&log, "gone").await;
    disk.limit_space(Some(0));
    let full = log.erase().await;
    assert!(matches!(full, Err(Error::Full)), "{full:?}");
    append(&log, "kept", [1]).await;
    disk.limit_space(None);
    assert_eq!(log.erase().await.expect("erased").events, 1);
    assert_eq!((ids(&log).await, told(&disk)), (vec![1], Vec::new()));
    log.close().await.expect("closed");
}

/// A segment that has its name, but not durably, is not gone on in.
#[tokio::test]
async fn erasing_that_could_not_make_a_segment_durable_leaves_none_to_be_lost() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    tell_secret(&log, "gone").await;
    delete(&log, "gone").await;
    disk.fail(DiskFault::FolderSyncError { skip: 0 });
    assert!(matches!(log.erase().await, Err(Error::Io { .. })));
    for id in 0..60 {
        append(&log, "kept", [id]).await;
    }
    disk.crash(Crash::Dropped);
    drop(log);
    assert_eq!(ids(&open(&disk).expect("opened")).await, Vec::from_iter(0..60));
}

#[tokio::test]
async fn deleting_on_a_full_disk_fails_alone() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    // Its name is too long for the room that will be left.
    let gone = "g".repeat(500);
    append(&log, &gone, [1]).await;
    let mut id = 2;
    while 4096 - survey_on(Arc::new(disk.process()), FOLDER).expect("a log").segments[0].used > 500 {
        append(&log, "kept", [id]).await;
        id += 1;
    }
    disk.limit_space(Some(0));
    let full = log.delete(&gone, None, Durability::Durable).await;
    assert!(matches!(full, Err(Error::Full)), "{full:?}");
    append(&log, "kept", [id]).await;
    disk.limit_space(None);
    assert_eq!(delete(&log, &gone).await, 1);
    log.close().await.expect("closed");
}

/// Segments out of a backup, beside what the log of today says of itself.
#[tokio::test]
async fn what_was_erased_later_than_a_backup_is_not_taken_for_erased_in_it() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "gone", [1]).await;
    log.close().await.expect("closed");
    drop(log);
    let backup = disk.fork();
    let log = open(&disk).expect("opened");
    append(&log, "gone", 2..10).await;
    delete(&log, "gone").await;
    log.erase().await.expect("erased");
    let note = Path::new(FOLDER).join("erased");
    let mut bytes = [0; 32];
    disk.process().open(&note, OpenMode::Read).expect("there").read_at(&mut bytes, 0).expect("read");
    let process = backup.process();
    process.open(&note, OpenMode::CreateNew).expect("made").write_all_at(&bytes, 0).expect("written");

    let log = open(&backup).expect("opened");
    append(&log, "gone", [2]).await;
    delete(&log, "gone").await;
    append(&log, "kept", 100..110).await;
    log.close().await.expect("closed");
    drop(log);
    let log = open(&backup).expect("opened");
    assert_eq!(ids(&log).await, Vec::from_iter(100..110));
}

#[tokio::test]
async fn a_survey_tells_what_is_deleted_and_what_is_erased() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    append(&log, "gone", [1, 2]).await;
    append(&log, "kept", [3]).await;
    let counts = || {
        let survey = survey_on(Arc::new(disk.process()), FOLDER).expect("a log");
        assert!(survey.damages.is_empty(), "{survey:?}");
        let streams: Vec<_> = survey.streams.into_iter().map(|stream| stream.name).collect();
        (survey.events, survey.deleted, survey.erased, streams.join(" "))
    };
    assert_eq!(counts(), (3, 0, 0, "gone kept".to_owned()));
    delete(&log, "gone").await;
    assert_eq!(counts(), (1, 2, 0, "kept".to_owned()));
    log.erase().await.expect("erased");
    assert_eq!(counts(), (1, 2, 2, "kept".to_owned()));
}

/// Readers read ahead; what they have read by the time that a stream is deleted, they hand out no more, erased or not.
#[tokio::test]
async fn a_reader_that_is_ahead_hands_out_nothing_that_was_deleted_meanwhile() {
    for erase in [false, true] {
        let disk = sim(1);
        let log = open(&disk).expect("opened");
        append(&log, "other", [1]).await;
        for id in 10..20 {
            append(&log, "gone", [id]).await;
        }
        append(&log, "other", [2]).await;
        let by = |query: Query| log.read(query);
        let all = Query::default();
        let mut readers = [
            by(all.clone()),
            by(Query { limit: Some(12), ..all.clone() }),
            by(Query { direction: Direction::Backward, ..all.clone() }),
            by(Query {
                filter: Filter { streams: vec!["other".into(), "gone".into()], ..Filter::all() },
                ..all
            }),
        ];
        for reader in &mut readers {
            let first = reader.try_next().await.expect("readable").expect("there");
            assert_eq!(&*first.stream, "other");
        }
        assert_eq!(delete(&log, "gone").await, 10);
        if erase {
            log.erase().await.expect("erased");
        }
        for reader in readers {
            let rest: Vec<_> = reader.try_collect().await.expect("readable");
            let streams: Vec<_> = rest.iter().map(|stored| &*stored.stream).collect();
            assert_eq!(streams, ["other"], "erased: {erase}");
        }
    }
}
