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
    disk.crash(Crash::ProcessOnly);
    file.write_all_at(&[3; 3], 0).expect_err("of a process that is gone");
    assert_eq!(content(&disk, "a"), Some(vec![2; 3]));
    let again = disk.process().lock(&path("lock")).expect("the lock went with the process");
    drop(lock);
    disk.process().lock(&path("lock")).expect_err("a dead guard gives nothing back");
    drop(again);
}
