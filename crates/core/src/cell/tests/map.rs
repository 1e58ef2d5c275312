use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::FutureExt;

use crate::cell::{CellMap, Closed};

/// Gives all keys one hash.
#[derive(Default)]
pub(super) struct Same;

impl Hasher for Same {
    fn finish(&self) -> u64 {
        0x77
    }

    fn write(&mut self, _: &[u8]) {}
}

#[test]
fn a_change_is_a_new_version_and_none_is_not() {
    let map = CellMap::new();
    assert!(map.get("a").is_none() && map.is_empty());
    assert!(map.set("a", 1));
    let first = map.get("a").expect("it is set");
    assert!(!map.set("a", 1));
    assert!(map.set("a", 2));
    assert_eq!(*first, 1);
    let second = map.get("a").expect("it is set");
    assert!(second.version() > first.version());
    assert_eq!(map.insert("a", 2).map(|old| old.version()), Some(second.version()));
    assert_eq!(map.len(), 1);
}

#[test]
fn a_key_that_comes_again_has_a_new_version() {
    let map = CellMap::new();
    map.set("a", 1);
    let removed = map.remove("a").expect("it was there");
    assert!(map.remove("a").is_none() && map.get("a").is_none());
    map.set("a", 1);
    let again = map.get("a").expect("it is back");
    assert!(again.version() > removed.version());
    let now = map.compare_and_swap("a", Some(removed.version()), 2).expect_err("it is another");
    assert_eq!(now.map(|now| now.version()), Some(again.version()));
}

#[test]
fn a_swap_or_removal_by_what_is_no_longer_so_is_refused() {
    let map = CellMap::new();
    assert!(matches!(map.compare_and_swap("a", Some(1), 0), Err(None)));
    let version = map.compare_and_swap("a", None, 1).expect("there is nothing yet");
    assert!(matches!(map.compare_and_swap("a", None, 2), Err(Some(now)) if *now == 1));
    assert!(matches!(map.compare_and_remove("a", version + 1), Err(Some(now)) if *now == 1));
    assert_eq!(map.compare_and_remove("a", version).map(|old| *old).ok(), Some(1));
    assert!(matches!(map.compare_and_remove("a", version), Err(None)));
    assert_eq!(map.len(), 0);
}

#[test]
fn an_update_makes_changes_and_removes() {
    let map = CellMap::new();
    assert_eq!(map.update("a", |_| None), None);
    let mut calls = 0;
    let version = map.update("a", |now| {
        calls += 1;
        if calls == 1 {
            map.set("a", 10);
        }
        Some(now.unwrap_or(&0) + 1)
    });
    assert_eq!((calls, map.get("a").map(|now| (*now, now.version()))), (2, version.map(|at| (11, at))));
    assert_eq!(map.update("a", |now| now.filter(|_| false).copied()), None);
    assert!(!map.contains_key("a"));
}

#[test]
fn what_is_removed_is_given_up() {
    let (map, value) = (CellMap::new(), Arc::new(()));
    for key in 0..100 {
        map.insert(key, Arc::clone(&value));
    }
    let kept = map.get(&7).expect("it is there");
    assert_eq!(Arc::strong_count(&value), 102);
    (0..100).for_each(|key| drop(map.remove(&key)));
    assert_eq!(Arc::strong_count(&value), 2);
    drop((map, kept));
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn keys_of_one_hash_are_kept_apart() {
    let map: CellMap<u32, u32, BuildHasherDefault<Same>> = (0..50).map(|key| (key, key)).collect();
    assert!((0..50).all(|key| map.get(&key).is_some_and(|value| *value == key)));
    assert!((0..25).all(|key| map.remove(&key).is_some()));
    assert!((0..50).all(|key| map.contains_key(&key) == (key >= 25)));
}

#[test]
fn a_snapshot_has_all_of_one_moment() {
    let map = CellMap::new();
    for key in 0..1_000 {
        map.insert(key, key);
    }
    let snapshot = map.snapshot();
    for key in 0..1_000 {
        map.insert(key, key + 1);
    }
    map.insert(1_000, 0);
    let entries: BTreeMap<_, _> = snapshot.iter().map(|(key, entry)| (*key, **entry)).collect();
    assert_eq!(entries, (0..1_000).map(|key| (key, key)).collect());
    assert_eq!((snapshot.len(), map.len()), (1_000, 1_001));
    let versions: Vec<_> = snapshot.iter().map(|(key, entry)| (*key, entry.version())).collect();
    assert!(versions.iter().all(|(key, version)| map.get(key).is_some_and(|now| now.version() > *version)));
}

/// Each writer moves one unit from a key to the next, taking first: all together never have more than at the start,
/// and a snapshot misses no more than the writers have in hand.
#[test]
fn a_snapshot_is_of_one_moment_while_writers_are_at_work() {
    const WRITERS: u64 = 2;
    let map: CellMap<u64, u64> = (0..64).map(|key| (key, 10)).collect();
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (map, end) = (&map, &end);
            scope.spawn(move || {
                let mut key = writer * 17;
                while !end.load(Ordering::Relaxed) {
                    key = (key + 1) % 64;
                    map.update(key, |units| units.map(|units| units - 1));
                    map.update((key + 7) % 64, |units| units.map(|units| units + 1));
                }
            });
        }
        for _ in 0..300 {
            let sum: u64 = map.snapshot().iter().map(|(_, units)| **units).sum();
            assert!((640 - WRITERS..=640).contains(&sum), "{sum}");
        }
        end.store(true, Ordering::Relaxed);
    });
}

/// A reader finds every key that was there before it looked, while the map grows.
#[test]
fn no_key_is_missing_while_the_map_grows() {
    let map = CellMap::new();
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2_u64)
            .map(|reader| {
                let (map, written) = (&map, &written);
                scope.spawn(move || {
                    let mut at = reader;
                    loop {
                        let there = written.load(Ordering::Acquire);
                        if there == 20_000 {
                            return;
                        }
                        if there > 0 {
                            at = (at * 31 + 7) % there;
                            assert_eq!(map.get(&at).map(|value| *value), Some(at * 3), "of {there}");
                        }
                    }
                })
            })
            .collect();
        for key in 0..20_000_u64 {
            map.insert(key, key * 3);
            written.store(key + 1, Ordering::Release);
        }
        readers.into_iter().for_each(|reader| reader.join().expect("nothing is missing"));
    });
    assert_eq!(map.len(), 20_000);
}

#[test]
fn a_watch_gives_what_there_is_then_the_latest_change_of_its_key() {
    let map = CellMap::new();
    let mut watch = map.watch("a");
    let mut seen = || watch.changed().now_or_never().map(|changed| changed.map(|now| now.map(|now| *now)));
    assert_eq!(seen(), Some(Ok(None)));
    map.set("b", 1);
    assert_eq!(seen(), None);
    map.set("a", 1);
    map.set("a", 2);
    assert_eq!(seen(), Some(Ok(Some(2))));
    map.remove("a");
    assert_eq!(seen(), Some(Ok(None)));
    map.set("a", 3);
    map.remove("a");
    assert_eq!(seen(), None);
    map.set("a", 3);
    drop(map);
    assert_eq!(seen(), Some(Ok(Some(3))));
    assert_eq!(seen(), Some(Err(Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watch_of_a_key_is_woken_for_the_last_change_and_the_end() {
    let map = CellMap::new();
    let watchers: Vec<_> = (0..16)
        .map(|watcher| {
            let mut watch = map.watch(watcher % 4);
            tokio::spawn(async move {
                let mut last = None;
                while let Ok(now) = watch.changed().await {
                    last = now.map(|now| *now);
                }
                last
            })
        })
        .collect();
    for round in 0..500 {
        for key in 0..4 {
            map.set(key, round * 10 + key);
        }
        tokio::task::yield_now().await;
    }
    drop(map);
    for (watcher, task) in watchers.into_iter().enumerate() {
        let last = tokio::time::timeout(std::time::Duration::from_secs(10), task).await.expect("it is woken");
        assert_eq!(last.expect("no panic"), Some(4_990 + watcher % 4));
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_change_wakes_who_waits() {
    type Change = fn(&CellMap<u8, u8>);
    let changes: [(&str, Change); 7] = [
        ("insert", |map| assert!(map.insert(1, 1).is_some())),
        ("set", |map| assert!(map.set(1, 2))),
        ("compare_and_swap", |map| assert!(map.compare_and_swap(1, map.version(&1), 2).is_ok())),
        ("update", |map| assert!(map.update(1, |now| now.map(|now| now + 1)).is_some())),
        ("update to nothing", |map| assert!(map.update(1, |_| None).is_none())),
        ("remove", |map| assert!(map.remove(&1).is_some())),
        ("compare_and_remove", |map| {
            let version = map.version(&1).expect("it is there");
            assert!(map.compare_and_remove(&1, version).is_ok());
        }),
    ];
    for (name, change) in changes {
        let map = CellMap::from_iter([(1, 1)]);
        let mut watch = map.watch(1);
        watch.changed().await.expect("it is open");
        let waits = tokio::spawn(async move { watch.changed().await.map(|_| ()) });
        tokio::task::yield_now().await;
        change(&map);
        let woken = tokio::time::timeout(std::time::Duration::from_secs(1), waits).await;
        assert!(matches!(woken, Ok(Ok(Ok(())))), "{name}: {woken:?}");
    }
}
