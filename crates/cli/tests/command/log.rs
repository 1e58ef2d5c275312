//! `steadfast log`: looks at real logs, also while they are written, and cuts only what it must.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use steadfast_backends::file::{Config, FileLog};
use steadfast_core::store::{Batch, Condition, Durability, EventStore};
use steadfast_core::{Event, EventId};

use crate::lab::{Lab, Said, eventually};

/// A log beside which the command runs.
struct Kept {
    lab: Lab,
    folder: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Kept {
    fn new() -> Self {
        let lab = Lab::new();
        let folder = lab.path("log");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { lab, folder, runtime }
    }

    fn open(&self) -> FileLog {
        let config = Config { segment_size: "4KiB".parse().expect("a size"), ..Config::default() };
        FileLog::open(&self.folder, Config { prepare_ahead: false, ..config }).expect("opened")
    }

    /// Appends one batch of two events for each number.
    fn append(&self, log: &FileLog, numbers: impl IntoIterator<Item = u128>) {
        for number in numbers {
            let event = |half: u128, kind: &str| {
                let id = EventId::from_u128(number * 2 + half);
                Event::new("/orders", kind.to_owned()).id(id).data("text/plain", format!("number {number}"))
            };
            let stream = if number % 2 == 0 { "even" } else { "odd" };
            let batch = Batch::to_stream(stream, [event(0, "order.created"), event(1, "order.paid")]);
            let appended = log.append(batch, Condition::Any, Durability::Durable);
            self.runtime.block_on(appended).expect("appended");
        }
    }

    fn close(&self, log: FileLog) {
        self.runtime.block_on(log.close()).expect("closed");
        drop(log);
    }

    fn log(&self, command: &str, more: &[&str]) -> Said {
        let folder = self.folder.to_str().expect("a plain path");
        self.lab.run(["log", command, folder].iter().chain(more))
    }

    fn json(&self, command: &str, code: i32) -> Value {
        let said = self.log(command, &["--format", "json"]).code(code);
        assert_eq!(said.err, "");
        serde_json::from_str(&said.out).expect("JSON")
    }

    fn segment(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:010}.log"))
    }
}

/// Flips a bit of the first place of a file that holds `text`, and returns the place.
fn damage(file: &Path, text: &str) -> usize {
    let mut bytes = std::fs::read(file).expect("readable");
    let at = bytes.windows(text.len()).position(|part| part == text.as_bytes()).expect("it is there");
    bytes[at] ^= 1;
    std::fs::write(file, bytes).expect("written");
    at
}

#[test]
fn a_sound_log_is_verified_and_inspected_while_it_is_written() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..40);
    kept.log("verify", &[]).code(0).out_has(&["80 events", "sound"]);
    let found = kept.json("verify", 0);
    assert_eq!(
        (&found["sound"], &found["events"], &found["clean"]),
        (&true.into(), &80.into(), &false.into())
    );
    kept.close(log);
    let found = kept.json("inspect", 0);
    assert_eq!(
        (&found["events"], &found["batches"], &found["clean"]),
        (&80.into(), &40.into(), &true.into())
    );
    assert_eq!((&found["first"], &found["head"]), (&1.into(), &80.into()));
    let segments = found["segments"].as_array().expect("a list");
    assert!(segments.len() > 1 && segments.iter().all(|segment| segment["bytes"] == 4096), "{found}");
    assert_eq!(segments.iter().filter_map(|segment| segment["events"].as_u64()).sum::<u64>(), 80);
    let even = &found["streams"][0];
    assert_eq!((&even["name"], &even["events"], &even["revision"]), (&"even".into(), &40.into(), &39.into()));
    kept.log("inspect", &[]).code(0).out_has(&[
        "80 in 40 batches",
        "0000000002.log",
        "even",
        "positions 1 to 80",
    ]);
}

#[test]
fn every_damage_is_told_with_its_place_and_repaired_only_when_told_to() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..40);
    let locked = kept.log("repair", &["--yes"]).code(3);
    assert!(locked.err.contains("locked by another writer"), "{locked:?}");
    kept.close(log);
    kept.log("repair", &["--yes"]).code(0).out_has(&["nothing is damaged"]);

    let first = damage(&kept.segment(1), "number 4");
    damage(&kept.segment(2), "order.paid");
    let before = std::fs::read(kept.segment(1)).expect("readable");
    let said = kept.log("verify", &[]).code(1);
    said.out_has(&["0000000001.log at byte", "0000000002.log at byte", "from position 9 on", "DAMAGED"]);
    let damages = kept.json("verify", 1)["damages"].clone();
    assert_eq!(damages.as_array().map(Vec::len), Some(2), "{damages}");
    let byte = damages[0]["byte"].as_u64().expect("a number") as usize;
    assert!(byte < first && first - byte < 200, "{damages}: the bit is in byte {first}");
    let refused = kept.log("tail", &[]).code(1);
    assert!(refused.err.contains("0000000001.log at byte") && refused.out.is_empty(), "{refused:?}");

    kept.log("repair", &[]).code(1).out_has(&["would be cut", "from position 9 on", "add --yes"]);
    assert_eq!(std::fs::read(kept.segment(1)).expect("readable"), before, "it only tells");
    let said = kept.log("repair", &["--yes"]).code(0);
    said.out_has(&["cut: everything from position 9 on", "are given again", "cut-1"]);
    assert_eq!(std::fs::read(kept.folder.join("cut-1/0000000001.log")).expect("copied"), before);
    let found = kept.json("verify", 0);
    assert_eq!((&found["events"], &found["head"], &found["clean"]), (&8.into(), &8.into(), &true.into()));
    let log = kept.open();
    kept.append(&log, 100..101);
    kept.close(log);
    assert_eq!(kept.json("verify", 0)["events"], 10);
}

#[test]
fn a_log_of_which_nothing_can_be_read_is_repaired_as_is_said() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..4);
    kept.close(log);
    damage(&kept.segment(1), "STEAD");
    let before = std::fs::read(kept.segment(1)).expect("readable");
    kept.log("verify", &[]).code(1).out_has(&["0000000001.log at byte 0", "DAMAGED"]);
    kept.log("repair", &["--yes"]).code(0).out_has(&["cut-1", "no event is left in the log"]);
    assert_eq!(std::fs::read(kept.folder.join("cut-1/0000000001.log")).expect("copied"), before);
    assert!(!kept.segment(1).exists(), "it is in the copy alone");
    let nothing = kept.log("verify", &[]).code(2);
    assert!(nothing.err.contains("no log is in this folder"), "{nothing:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..4);
    kept.close(log);
    for command in ["verify", "inspect", "tail"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_steadfast"))
            .args(["log", command])
            .arg(&kept.folder)
            .stdout(full)
            .output()
            .expect("started");
        let told = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(70), "{command}: {told}");
        assert!(told.contains("could not be written to standard output"), "{command}: {told}");
    }
}

#[test]
fn tail_selects_and_prints_one_event_a_line() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..20);
    let positions = |more: &[&str]| -> Vec<u64> {
        let said = kept.log("tail", &[more, &["--format", "json"]].concat()).code(0);
        let event = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        said.out.lines().map(|line| event(line)["position"].as_u64().expect("a number")).collect()
    };
    assert_eq!(positions(&[]), Vec::from_iter(31..=40), "the newest ten");
    assert_eq!(positions(&["-n", "2"]), [39, 40]);
    assert_eq!(positions(&["--stream", "even", "-n", "3"]), [34, 37, 38]);
    assert_eq!(positions(&["--type", "order.paid", "-n", "2"]), [38, 40]);
    assert_eq!(positions(&["--from", "38"]), [38, 39, 40]);
    assert_eq!(positions(&["--from", "3", "-n", "2", "--stream", "odd"]), [3, 4]);
    let said = kept.log("tail", &["-n", "1", "--format", "json"]).code(0);
    let event: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&event["stream"], &event["revision"]), (&"odd".into(), &19.into()));
    assert_eq!(
        (&event["event"]["type"], &event["event"]["data"]),
        (&"order.paid".into(), &"number 19".into())
    );
    kept.log("tail", &["-n", "1"]).code(0).out_has(&["40  odd@19  order.paid", "number 19"]);
}

#[test]
fn tail_follows_a_writer_and_ends_when_nobody_listens() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..1);
    let out = kept.lab.path("out");
    let file = std::fs::File::create(&out).expect("made");
    let mut tail = std::process::Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .args(["log", "tail", "--follow", "-n", "1"])
        .arg(&kept.folder)
        .stdout(file)
        .spawn()
        .expect("started");
    let lines = || std::fs::read_to_string(&out).expect("readable").lines().count();
    let reaches = |count: usize| {
        eventually(|| match lines() {
            found if found == count => Ok(()),
            found => Err(format!("{found} lines, not {count}")),
        });
    };
    reaches(1);
    kept.append(&log, 1..30);
    reaches(59);
    // The next writer goes on with the same log.
    kept.close(log);
    let log = kept.open();
    kept.append(&log, 30..40);
    reaches(79);
    tail.kill().expect("it is ours");
    tail.wait().expect("it is ours");

    let mut tail = std::process::Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .args(["log", "tail", "-f"])
        .arg(&kept.folder)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    drop(tail.stdout.take());
    eventually(|| {
        std::thread::sleep(Duration::from_millis(5));
        kept.append(&log, [unused_number()]);
        match tail.try_wait().expect("it is ours") {
            Some(_) => Ok(()),
            None => Err("it still runs".to_owned()),
        }
    });
}

/// A number that no batch has.
fn unused_number() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed).into()
}

#[test]
fn where_no_log_is_nothing_is_made() {
    let kept = Kept::new();
    for command in ["verify", "inspect", "tail", "repair"] {
        kept.log(command, &[]).code(2).err_has(&["no log is in this folder"]);
    }
    kept.log("repair", &["--yes"]).code(2);
    assert!(!kept.folder.exists());
    std::fs::create_dir(&kept.folder).expect("made");
    kept.log("repair", &["--yes"]).code(2).err_has(&["no log is in this folder"]);
    assert_eq!(std::fs::read_dir(&kept.folder).expect("readable").count(), 0);
    std::fs::remove_dir(&kept.folder).expect("removed");
    std::fs::write(&kept.folder, "").expect("made");
    for command in ["verify", "inspect", "tail", "repair", "archive"] {
        kept.log(command, &[]).code(2).err_has(&["this is a file"]);
    }
}

#[test]
fn what_is_deleted_is_counted_and_not_shown() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..40);
    let deleted = kept.runtime.block_on(log.delete("even", None, Durability::Durable)).expect("deleted");
    assert_eq!(deleted.events, 40);
    kept.log("verify", &[]).code(0).out_has(&["40 events in", "40 of them are still in the files", "sound"]);
    let tail = kept.log("tail", &["-n", "100"]).code(0);
    assert!(tail.out.lines().count() == 40 && !tail.out.contains("even@"), "{tail:?}");
    kept.runtime.block_on(log.erase()).expect("erased");
    kept.close(log);
    kept.log("inspect", &[]).code(0).out_has(&["40 events were deleted and are erased", "positions 1 to 80"]);
    let found = kept.json("inspect", 0);
    assert_eq!((&found["events"], &found["deleted"], &found["erased"]), (&40.into(), &40.into(), &40.into()));
    assert_eq!(found["streams"].as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn segments_are_archived_and_erased_while_nobody_writes() {
    let kept = Kept::new();
    let log = kept.open();
    kept.append(&log, 0..100);
    kept.log("archive", &[]).code(3);
    kept.log("erase", &[]).code(3);
    kept.runtime.block_on(log.delete("even", None, Durability::Durable)).expect("deleted");
    kept.close(log);
    let before = kept.log("tail", &["-n", "1000"]).code(0).out;
    kept.log("archive", &["--keep", "1"]).code(0).out_has(&["segments archived", "bytes before"]);
    kept.log("archive", &["--keep", "1"]).code(0).out_has(&["no finished segment is left"]);
    let found = kept.json("inspect", 0);
    let segments = found["segments"].as_array().expect("a list");
    let archived: Vec<bool> = segments.iter().map(|segment| segment["archived"] == true).collect();
    let (finished, newest) = archived.split_at(archived.len() - 2);
    assert!(finished.iter().all(|archived| *archived) && newest == [false, false], "{found}");
    kept.log("erase", &[]).code(0).out_has(&["events that were deleted are erased"]);
    kept.log("erase", &[]).code(0).out_has(&["nothing that was deleted is left"]);
    let found = kept.json("verify", 0);
    assert_eq!((&found["deleted"], &found["erased"]), (&100.into(), &100.into()));
    assert_eq!(kept.log("tail", &["-n", "1000"]).code(0).out, before);
    let nothing = kept.lab.path("nothing");
    let nothing = nothing.to_str().expect("a plain path");
    kept.lab.run(["log", "archive", nothing]).code(2);
    kept.lab.run(["log", "erase", nothing]).code(2);
}
