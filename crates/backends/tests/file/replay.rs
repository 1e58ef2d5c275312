//! Reading page by page finds what reading event by event finds.

use steadfast_backends::file::FileLog;
use steadfast_base::disk::{Crash, Disk, OpenMode};
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, NewEvent, Position, StoredEvent,
};
use steadfast_core::testing;

use crate::support::{FOLDER, all, append, event, open, sim};

async fn replayed(log: &FileLog, after: Position) -> Result<Vec<StoredEvent>, Error> {
    let (mut replay, mut found) = (log.replay(after)?, Vec::new());
    while let Some(page) = replay.next().await? {
        for event in &page {
            let event = event?;
            let stored = event.to_stored()?;
            assert_eq!((event.position(), event.revision()), (stored.position, stored.revision));
            assert_eq!((event.stream(), event.id()), (&*stored.stream, stored.event.id()));
            assert_eq!((event.source(), event.kind()), (stored.event.source(), stored.event.kind()));
            assert_eq!((event.subject()?, event.time()?), (stored.event.subject(), stored.event.time()));
            assert_eq!(event.data(), &stored.event.data()[..]);
            found.push(stored);
        }
    }
    assert!(replay.next().await?.is_none(), "it has ended");
    Ok(found)
}

#[tokio::test]
async fn pages_hold_what_a_read_returns() {
    let seed = testing::seed();
    let (disk, mut rng) = (sim(1), seed.rng());
    let log = open(&disk).expect("opened");
    assert_eq!(replayed(&log, Position::START).await.expect("readable"), []);
    for id in 0..400 {
        let events = (0..=rng.below(3)).map(|at| {
            let kind = ["created", "changed"][rng.below(2) as usize];
            let mut event =
                event(id * 10 + at).edit().data("text/plain", vec![b'x'; rng.below(100) as usize]);
            if rng.chance(0.5) {
                event = event.edit().extension("kind", kind).build();
            }
            NewEvent { stream: format!("stream-{}", rng.below(5)).into(), event }
        });
        let batch = Batch { events: events.collect() };
        log.append(batch, Condition::Any, Durability::Written).await.expect("appended");
        match rng.below(60) {
            0 => drop(log.erase().await.expect("erased")),
            1 => drop(log.archive(rng.below(3) as u32).await.expect("archived")),
            2 => {
                let stream = format!("stream-{}", rng.below(5));
                log.delete(&stream, None, Durability::Written).await.expect("deleted");
            }
            _ => {}
        }
    }
    let everything = all(&log).await.expect("readable");
    for _ in 0..10 {
        let after = Position::from_parts(rng.below(900), 0);
        let later: Vec<_> = everything.iter().filter(|stored| stored.position > after).cloned().collect();
        assert_eq!(replayed(&log, after).await.expect("readable"), later, "after {after:?}");
    }
    log.close().await.expect("closed");
    assert!(matches!(log.replay(Position::START), Err(Error::Closed)));
}

#[tokio::test]
async fn damage_ends_a_replay_with_an_error() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let path = std::path::Path::new(FOLDER).join("0000000002.log");
    let mut id = 0;
    while disk.process().open(&path, OpenMode::Read).is_err() {
        append(&log, "a", [id]).await;
        id += 1;
    }
    disk.crash(Crash::ProcessOnly);
    drop(log);
    let log = open(&disk).expect("opened");
    disk.flip_bit(&path.with_file_name("0000000001.log"), 2000, 1);
    let mut replay = log.replay(Position::START).expect("open");
    let mut found = 0;
    let error = loop {
        match replay.next().await {
            Ok(page) => found += page.expect("the damage is met").iter().flatten().count(),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Damaged { place, .. } if place.contains("0000000001.log")), "{error}");
    assert!(found > 5 && found < id as usize);
    assert!(replay.next().await.expect("it has ended").is_none());
}
