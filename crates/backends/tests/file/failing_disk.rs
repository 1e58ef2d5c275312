//! A disk that is full or fails: the append says so, the log refuses until it is opened again, nothing
//! acknowledged is lost.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::SystemTime;

use steadfast_backends::file::{Config, FileLog, survey_on};
use steadfast_base::disk::{Crash, DiskFault, SimDisk};
use steadfast_base::units::Size;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Outcome};

use crate::support::{FOLDER, append, event, ids, open, sim, try_append};

const REAL_FOLDER: &str = "STEADFAST_FAILING_FOLDER";

/// Appends until it fails and returns how many were acknowledged, and the failure.
async fn until_it_fails(log: &FileLog, first: u64) -> (u64, Error) {
    for id in first..first + 10_000 {
        if let Err(error) = try_append(log, "a", [id], Durability::Durable).await {
            return (id, error);
        }
    }
    panic!("it never failed");
}

/// Checks what holds of every log that has failed.
async fn check_refusing(log: &FileLog, acknowledged: u64) {
    for level in [Durability::Accepted, Durability::Durable] {
        let refused = try_append(log, "b", [1_000_000], level).await.expect_err("it refuses");
        assert!(matches!(refused, Error::Poisoned), "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotAppended);
        // Whoever asks for what is in the log is not told that it is not.
        let repeated = try_append(log, "a", [0], level).await.expect_err("it refuses");
        assert_eq!(repeated.outcome(), Outcome::Unknown, "{repeated}");
    }
    assert!(ids(log).await.starts_with(&Vec::from_iter(0..acknowledged)), "it is still read");
    log.close().await.expect_err("not all that was accepted is safe");
}

/// Fails in the way that `arm` says and checks that the error is one that `expects` and `outcome` tell.
async fn fails(arm: fn(&SimDisk), expects: fn(&Error) -> bool, outcome: Outcome) {
    for crash in [Crash::Dropped, Crash::Torn, Crash::ProcessOnly] {
        let disk = sim(1);
        let log = open(&disk).expect("opened");
        for id in 0..3 {
            append(&log, "a", [id]).await;
        }
        arm(&disk);
        let (acknowledged, error) = until_it_fails(&log, 3).await;
        assert!(expects(&error), "{error:?}");
        assert_eq!(error.outcome(), outcome, "{error:?}");
        check_refusing(&log, acknowledged).await;
        drop(log);
        disk.limit_space(None);
        disk.crash(crash);
        let log = open(&disk).expect("opened again");
        let found = ids(&log).await;
        let all = Vec::from_iter(0..=acknowledged);
        assert!(
            found == all[..acknowledged as usize] || outcome == Outcome::Unknown && found == all,
            "{found:?}"
        );
        append(&log, "b", [1_000_000]).await;
    }
}

#[tokio::test]
async fn a_write_that_fails() {
    let io = |error: &Error| matches!(error, Error::Io { doing: "writing to the log", .. });
    fails(|disk| disk.fail(DiskFault::WriteError { skip: 2 }), io, Outcome::Unknown).await;
    // On a file system that copies on write, room that was reserved may run out all the same.
    fails(|disk| disk.fail(DiskFault::WriteFull { skip: 2 }), io, Outcome::Unknown).await;
}

#[tokio::test]
async fn a_sync_that_fails() {
    let io = |error: &Error| matches!(error, Error::Io { doing: "syncing the log", .. });
    fails(|disk| disk.fail(DiskFault::SyncError { skip: 2 }), io, Outcome::Unknown).await;
}

#[tokio::test]
async fn no_room_for_the_next_segment() {
    fails(|disk| disk.limit_space(Some(10_000)), |error| matches!(error, Error::Full), Outcome::NotAppended)
        .await;
}

/// What tells that all is durable needs room where the newest segment is full, and can be left out.
#[tokio::test]
async fn a_full_log_is_closed_on_a_full_disk() {
    let disk = sim(1);
    let log = open(&disk).expect("opened");
    let sized = async |id: u64, size: usize| {
        let event = event(id).edit().time(SystemTime::UNIX_EPOCH).data("text/plain", vec![b'x'; size]);
        let batch = Batch::to_stream("a", [event]);
        log.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
        survey_on(Arc::new(disk.process()), FOLDER).expect("a log").segments[0].used
    };
    let overhead = sized(0, 1000).await - 64 - 1000;
    let used = sized(1, 1000).await;
    // No more is left than half a mark.
    let used = sized(2, (4096 - used - overhead - 16) as usize).await;
    assert!((4096 - 24..4096).contains(&used), "{used}");
    disk.limit_space(Some(0));
    log.close().await.expect("all of it is durable");
    drop(log);
    disk.crash(Crash::Dropped);
    assert_eq!(ids(&open(&disk).expect("opened")).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_segment_whose_entry_cannot_be_made_durable() {
    let io =
        |error: &Error| matches!(error, Error::Io { doing: "preparing the next segment of the log", .. });
    fails(|disk| disk.fail(DiskFault::FolderSyncError { skip: 0 }), io, Outcome::NotAppended).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_changes_nothing() {
    for skip in 0..12 {
        for fault in [
            DiskFault::ReadError { skip },
            DiskFault::WriteError { skip },
            DiskFault::WriteFull { skip },
            DiskFault::SyncError { skip },
            DiskFault::FolderSyncError { skip },
        ] {
            let disk = sim(skip);
            let log = open(&disk).expect("opened");
            append(&log, "a", [0, 1]).await;
            append(&log, "a", [2]).await;
            disk.crash(Crash::Dropped);
            drop(log);
            disk.fail(fault);
            match open(&disk) {
                Ok(log) => drop(log),
                Err(Error::Io { .. } | Error::Full) => {}
                Err(other) => panic!("{fault:?}: {other}"),
            }
            disk.crash(Crash::Dropped);
            assert_eq!(ids(&open(&disk).expect("opened again")).await, [0, 1, 2], "{fault:?}");
        }
    }
}

fn config(segment: u64) -> Config {
    Config { segment_size: Size::from_bytes(segment), ..Config::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Runs a test of this program behind a few words of shell, with `folder` in the environment.
fn run_child(program: &str, words: &[&str], before: &str, test: &str, folder: &Path) -> Output {
    Command::new(program)
        .args(words)
        .args(["sh", "-c", &format!("{before} && exec \"$0\" --exact {test} --nocapture")])
        .arg(std::env::current_exe().expect("known"))
        .env(REAL_FOLDER, folder)
        .output()
        .expect("started")
}

fn succeeded(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stderr).contains("it held"), "{}", text(&output.stderr));
}

#[test]
fn a_real_file_system_that_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let probe = Command::new("unshare").args(["-Urm", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this host grants no user namespace to mount a small file system in");
        return;
    }
    let mount = format!("mount -t tmpfs -o size=400k none \"${REAL_FOLDER}\"");
    let test = "failing_disk::child_fills_the_file_system";
    succeeded(&run_child("unshare", &["-Urm"], &mount, test, folder.path()));
}

/// Does nothing unless it is started by the test above.
#[test]
fn child_fills_the_file_system() {
    let Ok(folder) = std::env::var(REAL_FOLDER) else { return };
    let ballast = Path::new(&folder).join("ballast");
    std::fs::write(&ballast, vec![1; 150 << 10]).expect("there is room");
    let folder = Path::new(&folder).join("log");
    runtime().block_on(async {
        let log = FileLog::open(&folder, config(64 << 10)).expect("opened");
        let (acknowledged, error) = until_it_fails(&log, 0).await;
        assert!(matches!(error, Error::Full), "{error}");
        check_refusing(&log, acknowledged).await;
        drop(log);
        // It is still full: what there is can be read, and the next append is refused like the first.
        let log = FileLog::open(&folder, config(64 << 10)).expect("opening needs no room");
        assert_eq!(ids(&log).await, Vec::from_iter(0..acknowledged));
        let (same, error) = until_it_fails(&log, acknowledged).await;
        assert!(matches!(error, Error::Full), "{error}");
        drop(log);
        std::fs::remove_file(&ballast).expect("removed");
        let log = FileLog::open(&folder, config(64 << 10)).expect("opened");
        assert_eq!(ids(&log).await, Vec::from_iter(0..same));
        append(&log, "a", [same]).await;
    });
    eprintln!("it held");
}

#[test]
fn a_file_that_may_not_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    // Blocks of 512 bytes in one shell and of 1024 in another: between the one segment's size and the other's.
    let limit = "trap '' XFSZ && ulimit -f 256";
    let test = "failing_disk::child_meets_the_limit";
    succeeded(&run_child("env", &[], limit, test, folder.path()));
}

/// Does nothing unless it is started by the test above.
#[test]
fn child_meets_the_limit() {
    let Ok(folder) = std::env::var(REAL_FOLDER) else { return };
    runtime().block_on(async {
        let log = FileLog::open(&folder, config(64 << 10)).expect("opened");
        append(&log, "a", [0]).await;
        drop(log);
        let log = FileLog::open(&folder, config(1 << 20)).expect("its segment keeps its size");
        let (acknowledged, error) = until_it_fails(&log, 1).await;
        assert!(matches!(&error, Error::Io { outcome: Outcome::NotAppended, .. }), "{error:?}");
        check_refusing(&log, acknowledged).await;
        drop(log);
        let log = FileLog::open(&folder, config(64 << 10)).expect("opened");
        assert_eq!(ids(&log).await, Vec::from_iter(0..acknowledged));
        append(&log, "a", [acknowledged]).await;
    });
    eprintln!("it held");
}
