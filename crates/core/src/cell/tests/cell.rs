use std::time::Duration;

use futures::FutureExt;

use crate::cell::{Cell, Closed};

#[test]
fn a_change_is_a_new_version_and_none_is_not() {
    let cell = Cell::new("a");
    assert_eq!(cell.load().version(), 1);
    assert!(!cell.set("a"));
    assert!(cell.set("b"));
    assert_eq!((cell.load().version(), *cell.load()), (2, "b"));
    assert_eq!(cell.replace("b"), 3);
    assert_eq!(cell.update(|_| "c"), 4);
}

#[test]
fn a_snapshot_stays_what_it_was() {
    let cell = Cell::new(String::from("a"));
    let (moment, kept) = (cell.load(), cell.load().keep());
    cell.set(String::from("b"));
    assert_eq!((moment.as_str(), kept.clone().as_str(), kept.version()), ("a", "a", 1));
}

#[test]
fn a_swap_by_an_old_version_is_refused_with_what_there_is() {
    let cell = Cell::new(1);
    assert_eq!(cell.compare_and_swap(1, 2).ok(), Some(2));
    for version in [0, 1, 3] {
        let now = cell.compare_and_swap(version, 9).expect_err("it is not the version");
        assert_eq!((now.version(), *now), (2, 2));
    }
}

#[test]
fn an_update_is_made_again_when_another_came_first() {
    let cell = Cell::new(vec![0]);
    let mut calls = 0;
    cell.update(|numbers| {
        calls += 1;
        if calls == 1 {
            cell.replace(vec![0, 1]);
        }
        [numbers.as_slice(), &[2]].concat()
    });
    assert_eq!((calls, cell.load().to_vec()), (2, vec![0, 1, 2]));
}

#[test]
fn a_watch_gives_what_there_is_then_the_latest_change() {
    let cell = Cell::new(0);
    let mut watch = cell.watch();
    let mut seen = || watch.changed().now_or_never().map(|changed| changed.map(|now| *now));
    assert_eq!(seen(), Some(Ok(0)));
    assert_eq!(seen(), None);
    assert!(!cell.set(0));
    assert_eq!(seen(), None);
    cell.set(1);
    cell.set(2);
    assert_eq!(seen(), Some(Ok(2)));
    cell.set(3);
    drop(cell);
    assert_eq!(seen(), Some(Ok(3)));
    assert_eq!(seen(), Some(Err(Closed)));
}

#[test]
fn a_wait_that_is_given_up_loses_nothing() {
    let cell = Cell::new(0);
    let mut watch = cell.watch();
    let _ = watch.changed().now_or_never();
    let mut wait = Box::pin(watch.changed());
    assert!(wait.as_mut().now_or_never().is_none());
    cell.set(1);
    drop(wait);
    assert_eq!(watch.changed().now_or_never().map(|changed| changed.map(|now| *now)), Some(Ok(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watch_sees_the_last_of_many_changes() {
    let cell = Cell::new(0_u32);
    let watchers: Vec<_> = (0..16)
        .map(|_| {
            let mut watch = cell.watch();
            tokio::spawn(async move {
                let mut last = 0;
                while let Ok(now) = watch.changed().await {
                    assert!(last == 0 || *now > last, "{} after {last}", *now);
                    last = *now;
                }
                last
            })
        })
        .collect();
    for _ in 0..1_000 {
        cell.update(|count| count + 1);
    }
    drop(cell);
    for watcher in watchers {
        let last = tokio::time::timeout(Duration::from_secs(10), watcher).await.expect("it is woken");
        assert_eq!(last.expect("no panic"), 1_000);
    }
}

#[test]
fn a_cell_is_open_as_long_as_it_has_a_handle() {
    let cell = Cell::new(0);
    let mut watch = cell.watch();
    let other = cell.clone();
    drop(cell);
    let _ = watch.changed().now_or_never();
    assert!(watch.changed().now_or_never().is_none());
    other.set(1);
    drop(other);
    assert!(watch.changed().now_or_never().is_some_and(|changed| changed.is_ok()));
    assert!(watch.changed().now_or_never().is_some_and(|changed| changed.is_err()));
}
