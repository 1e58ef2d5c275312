use super::*;

const FOLDER: &str = "/log";

fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(Seed::new(seed));
    disk.process().create_dir_all(Path::new(FOLDER)).expect("made");
    disk
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.process().open(&path(name), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.length().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    Some(bytes)
}

/// Makes a durable file of `length` bytes of `byte`.
fn durable(disk: &SimDisk, name: &str, byte: u8, length: usize) -> Box<dyn DiskFile> {
    let file = disk.process().open(&path(name), OpenMode::CreateNew).expect("made");
    file.write_all_at(&vec![byte; length], 0).expect("written");
    file.sync_data().expect("synced");
    disk.process().sync_dir(Path::new(FOLDER)).expect("synced");
    file
}

#[test]
fn a_file_needs_its_entry_synced_too() {
    let disk = disk(1);
    let file = disk.process().open(&path("a"), OpenMode::CreateNew).expect("made");
    file.write_all_at(b"x", 0).expect("written");
    file.sync_data().expect("synced");
    disk.crash(Crash::Dropped);
    assert_eq!(content(&disk, "a"), None);
}

#[test]
fn a_rename_not_synced_is_undone() {
    let disk = disk(1);
    durable(&disk, "a", 1, 3);
    disk.process().rename(&path("a"), &path("b")).expect("renamed");
    assert_eq!(content(&disk, "a"), None);
    disk.crash(Crash::Dropped);
    assert_eq!(content(&disk, "a"), Some(vec![1; 3]));
    assert_eq!(content(&disk, "b"), None);
}

#[test]
fn torn_means_whole_sectors_of_the_old_and_the_new() {
    let mixed = (0..20).filter(|seed| {
        let disk = disk(*seed);
        durable(&disk, "a", 1, 8 * 512).write_all_at(&[2; 8 * 512], 0).expect("written");
        disk.crash(Crash::Torn);
        let bytes = content(&disk, "a").expect("there");
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        bytes.contains(&1) && bytes.contains(&2)
    });
    assert!(mixed.count() > 10);
}

#[test]
fn the_same_seed_tears_alike() {
    let torn = |seed| {
        let disk = disk(seed);
        durable(&disk, "a", 1, 64 * 512).write_all_at(&[2; 64 * 512], 0).expect("written");
        disk.crash(Crash::Torn);
        content(&disk, "a")
    };
    assert_eq!(torn(5), torn(5));
    assert_ne!(torn(5), torn(6));
}

#[test]
fn a_sync_that_lies_loses_data() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 3);
    disk.lie_about_sync(true);
    file.write_all_at(&[2; 3], 0).expect("written");
    file.sync_data().expect("a lie");
    disk.crash(Crash::Dropped);
    assert_eq!(content(&disk, "a"), Some(vec![1; 3]));
}

#[test]
fn after_a_failed_sync_only_writing_again_helps() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 3);
    disk.fail(DiskFault::SyncError { skip: 0 });
    file.write_all_at(&[2; 3], 0).expect("written");
    file.sync_data().expect_err("told to fail");
    file.sync_data().expect("succeeds, and does nothing");
    assert_eq!(content(&disk, "a"), Some(vec![2; 3]));
    disk.crash(Crash::Dropped);
    assert_eq!(content(&disk, "a"), Some(vec![1; 3]));
}

#[test]
fn faults_come_when_due_and_once() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 3);
    disk.fail(DiskFault::WriteFull { skip: 1 });
    file.write_all_at(&[2; 3], 0).expect("not yet");
    assert_eq!(file.write_all_at(&[2; 3], 0).expect_err("due").kind(), io::ErrorKind::StorageFull);
    file.write_all_at(&[2; 3], 0).expect("given once");
}

#[test]
fn without_power_nothing_works_and_old_handles_stay_dead() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 3);
    let lock = disk.process().lock(&path("lock")).expect("free");
    disk.power_off_after(1);
    file.write_all_at(&[2; 3], 0).expect("the last one");
    assert!(disk.is_off());
    file.write_all_at(&[3; 3], 0).expect_err("no power");
    file.write_all_at(&[4; 3], 0).expect_err("no power still");
    disk.crash(Crash::ProcessOnly);
    file.write_all_at(&[4; 3], 0).expect_err("of a process that is gone");
    let left = content(&disk, "a").expect("there");
    assert!((0..=3).any(|part| left == [vec![3; part], vec![2; 3 - part]].concat()), "{left:?}");
    let again = disk.process().lock(&path("lock")).expect("the lock went with the process");
    drop(lock);
    disk.process().lock(&path("lock")).expect_err("a dead guard gives nothing back");
    drop(again);
}

#[test]
fn a_later_write_may_be_durable_and_an_earlier_one_not() {
    let reordered = (0..50).filter(|seed| {
        let disk = disk(*seed);
        let file = durable(&disk, "a", 1, 2 * 512);
        disk.set_odds(Odds { write_back: 0.5, ..Odds::default() });
        file.write_all_at(&[2; 512], 0).expect("written");
        file.write_all_at(&[2; 512], 512).expect("written");
        file.write_all_at(&[3; 512], 0).expect("written");
        disk.crash(Crash::Dropped);
        let bytes = content(&disk, "a").expect("there");
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        (bytes[0], bytes[512]) == (1, 2)
    });
    assert!(reordered.count() > 0);
}

#[test]
fn what_a_failed_sync_left_may_vanish_from_the_cache() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 3 * 512);
    disk.set_odds(Odds { sync_error: 1.0, ..Odds::default() });
    file.write_all_at(&[2; 3 * 512], 0).expect("written");
    file.sync_data().expect_err("told to fail");
    assert_eq!((disk.syncs(), disk.failed_syncs()), (2, 1));
    disk.calm();
    assert_eq!(content(&disk, "a"), Some(vec![2; 3 * 512]), "nothing is evicted yet");
    file.write_all_at(&[3; 512], 512).expect("written again");
    disk.set_odds(Odds { evict: 1.0, ..Odds::default() });
    let expected = [[1; 512], [3; 512], [1; 512]].concat();
    assert_eq!(content(&disk, "a"), Some(expected), "what was written again stays");
}

#[test]
fn reads_and_syncs_of_folders_fail_when_told() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 3);
    disk.fail(DiskFault::ReadError { skip: 1 });
    disk.fail(DiskFault::FolderSyncError { skip: 0 });
    file.read_at(&mut [0; 3], 0).expect("not yet");
    file.read_at(&mut [0; 3], 0).expect_err("due");
    file.read_at(&mut [0; 3], 0).expect("given once");
    disk.process().rename(&path("a"), &path("b")).expect("renamed");
    disk.process().sync_dir(Path::new(FOLDER)).expect_err("due");
    disk.process().sync_dir(Path::new(FOLDER)).expect("its changes are still there to sync");
    disk.crash(Crash::Dropped);
    assert!(content(&disk, "b").is_some());
}

#[test]
fn space_is_limited_until_some_is_freed() {
    let disk = disk(1);
    let file = durable(&disk, "a", 1, 600);
    durable(&disk, "b", 1, 400);
    disk.limit_space(Some(1100));
    let full = file.write_all_at(&[2; 700], 100).expect_err("800 where 700 may be");
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.length().expect("known"), 700, "what there was room for is written");
    file.write_all_at(&[3; 700], 0).expect("it does not grow");
    assert_eq!(file.allocate(701).expect_err("full").kind(), io::ErrorKind::StorageFull);
    disk.limit_space(None);
    file.allocate(701).expect("room");
}

#[test]
fn a_fork_goes_its_own_way() {
    let first = disk(1);
    let file = durable(&first, "a", 1, 3);
    let second = first.fork();
    file.write_all_at(&[2; 3], 0).expect("written");
    assert_eq!((content(&first, "a"), content(&second, "a")), (Some(vec![2; 3]), Some(vec![1; 3])));
    let (path, byte) = second.flip_random_bit().expect("there are bytes");
    assert_eq!(path, self::path("a"));
    let flipped = content(&second, "a").expect("there");
    assert!(
        flipped.iter().enumerate().all(|(at, found)| (*found == 1) == (at as u64 != byte)),
        "{flipped:?}"
    );
}
