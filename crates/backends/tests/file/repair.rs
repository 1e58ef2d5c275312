//! Cutting a log off: what was there is in the copy, what is left is sound, and what cannot be read is not touched.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast_backends::file::{FileLog, repair, repair_on, survey, survey_on};
use steadfast_base::disk::{DiskFile, OpenMode, RealDisk};
use steadfast_core::store::{Error, EventStore};

use crate::support::{append, ids, small};
use crate::through::{Through, Way};

/// Writes a log of three finished segments, of which the first is archived if `archived` says so, and one more.
async fn written(folder: &Path, archived: bool) {
    let log = FileLog::open(folder, small()).expect("opened");
    let mut id = 0;
    while !folder.join("0000000004.log").exists() {
        append(&log, "a", [id]).await;
        id += 1;
    }
    if archived {
        assert_eq!(FileLog::archive(&log, 2).await.expect("archived").segments, 1);
    }
    log.close().await.expect("closed");
}

/// How a file is damaged.
type Damaging<'a> = dyn Fn(&Path) + 'a;

/// Of a segment whose beginning cannot be read there is nothing to cut off: it goes, and is in the copy.
#[tokio::test]
async fn a_repair_copies_and_removes_segments_of_which_nothing_can_be_read() {
    let flip = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).expect("read");
        bytes[at] ^= 1;
        std::fs::write(path, bytes).expect("written");
    };
    let shorten = |path: &Path, length: u64| {
        let file = std::fs::File::options().write(true).open(path).expect("opened");
        file.set_len(length).expect("shortened");
    };
    let damages: [(&str, &Damaging<'_>); 5] = [
        ("a bit of its header", &|path| flip(path, 20)),
        ("a bit behind its header", &|path| flip(path, 66)),
        ("its end is missing", &|path| shorten(path, 300)),
        ("it is empty", &|path| shorten(path, 0)),
        ("it is something else", &|path| std::fs::write(path, "hi").expect("written")),
    ];
    for (what, damage) in damages {
        for (number, archived, only) in
            [(1, false, true), (1, false, false), (1, true, false), (3, true, false)]
        {
            let what = format!("{what}, segment {number}, archived: {archived}, only: {only}");
            let folder = tempfile::tempdir().expect("a folder");
            let folder = folder.path();
            written(folder, archived).await;
            let names: Vec<String> = (1..=4).map(|number| format!("{number:010}.log")).collect();
            if only {
                names[1..].iter().for_each(|name| std::fs::remove_file(folder.join(name)).expect("removed"));
            }
            damage(&folder.join(&names[number - 1]));
            let affected: Vec<_> = names[number - 1..]
                .iter()
                .filter_map(|name| std::fs::read(folder.join(name)).ok().map(|bytes| (name.clone(), bytes)))
                .collect();
            let found = survey(folder).expect("surveyed").damages;
            if found.is_empty() {
                // What was torn off the only segment is a torn tail.
                assert!(only && what.contains("behind"), "{what}");
                continue;
            }
            let repaired =
                repair(folder).unwrap_or_else(|error| panic!("{what}: {error}")).expect("there was damage");
            assert_eq!(repaired.damage, found[0], "{what}");
            for (name, bytes) in &affected {
                let copied = std::fs::read(repaired.copy.join(name)).expect("copied");
                assert!(copied == *bytes, "{what}: {name} is another one");
            }
            match survey(folder) {
                Ok(left) => assert_eq!(left.damages, [], "{what}"),
                Err(error) => assert!(number == 1, "{what}: {error}"),
            }
            assert_eq!(
                repair(folder).map(|again| again.is_none()).ok(),
                (number > 1 || survey(folder).is_ok()).then_some(true),
                "{what}"
            );
            let log = FileLog::open(folder, small()).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(ids(&log).await.len() as u64, repaired.damage.position - 1, "{what}");
            append(&log, "b", [1_000_000]).await;
            log.close().await.expect("closed");
        }
    }
}

/// A disk of which one file cannot be read for a while.
#[derive(Debug, Default)]
struct Unreadable(AtomicBool);

impl Way for Unreadable {
    type Known = bool;

    fn opens(&self, path: &Path, _: OpenMode) -> bool {
        path.ends_with("0000000002.log")
    }

    fn read(&self, known: &bool, file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if *known && self.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        file.read_at(buffer, offset)
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    written(folder, false).await;
    let files = || {
        let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
        let mut files: Vec<_> = files.map(|path| (std::fs::read(&path).ok(), path)).collect();
        files.sort();
        files
    };
    let disk = Through::new(Unreadable::default(), Arc::new(RealDisk));
    let before = files();
    disk.way.0.store(true, Ordering::SeqCst);
    let found = survey_on(Arc::new(disk.clone()), folder).expect("surveyed");
    let found: Vec<_> =
        found.damages.iter().map(|damage| (&*damage.segment, damage.byte, damage.unreadable)).collect();
    assert_eq!(found, [("0000000002.log", 0, true)], "once");
    let refused = repair_on(Arc::new(disk.clone()), folder).expect_err("it may be whole");
    assert!(
        matches!(refused, Error::Io { .. }) && refused.to_string().contains("0000000002.log"),
        "{refused}"
    );
    assert!(files() == before, "nothing is changed");
    disk.way.0.store(false, Ordering::SeqCst);
    assert!(repair_on(Arc::new(disk), folder).expect("read").is_none(), "it is whole");
}
