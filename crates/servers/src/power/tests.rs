//! On a real mount, by the calls that servers make.

mod with_fuse {
    use std::fs::{self, File, OpenOptions};
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::fs::{FallocateFlags, OFlags, fallocate, fdatasync};
    use steadfast_base::Seed;

    use crate::power::{Cut, PowerCutFs};

    fn mount() -> PowerCutFs {
        PowerCutFs::mount("power::tests::with_fuse::serves_files").expect("it is mounted")
    }

    /// The process that serves the file systems of these tests; a test that does nothing else.
    #[test]
    fn serves_files() {
        crate::power::serve_if_asked();
    }

    fn is_mounted(path: &Path) -> bool {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there");
        mounts.contains(&format!(" {} ", path.display()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("read").file_name().display().to_string()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn it_is_a_file_system() {
        let fs = mount();
        let path = |name: &str| fs.path().join(name);
        fs::create_dir_all(path("a/b")).expect("made");
        let text: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(path("a/b/large"), &text).expect("written");
        assert!(fs::read(path("a/b/large")).expect("read") == text);
        fs::hard_link(path("a/b/large"), path("link")).expect("linked");
        assert_eq!(fs::metadata(path("link")).expect("there").nlink(), 2);
        symlink("a/b", path("short")).expect("linked");
        assert_eq!(names(&path("short")), ["large"]);
        fs::rename(path("a/b/large"), path("a/other")).expect("renamed");
        assert!(fs::remove_dir(path("a")).is_err(), "it is not empty");
        fs::set_permissions(path("a"), fs::Permissions::from_mode(0o700)).expect("set");
        std::os::unix::fs::chown(path("a"), Some(1234), Some(1234)).expect("set");
        let metadata = fs::metadata(path("a")).expect("there");
        assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o700, 1234, 1234));

        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path("fixed"));
        let file = file.expect("made");
        fallocate(&file, FallocateFlags::empty(), 0, 10_000).expect("allocated");
        file.write_all_at(b"end", 9_997).expect("written");
        assert_eq!(file.metadata().expect("there").len(), 10_000);
        file.set_len(5).expect("cut");
        assert_eq!(fs::read(path("fixed")).expect("read"), [0; 5]);
        file.try_lock().expect("free");
        let other = File::open(path("fixed")).expect("there");
        assert!(other.try_lock().is_err(), "it is locked");
        fs::remove_file(path("fixed")).expect("removed");
        file.write_all_at(b"still open", 0).expect("written");

        for number in 0..1_000 {
            fs::write(path(&format!("a/{number}")), "").expect("written");
        }
        fs::remove_dir_all(path("a")).expect("removed");
        assert_eq!(names(fs.path()), ["link", "short"]);
    }

    #[test]
    fn a_cut_leaves_what_was_synced() {
        let mut fs = mount();
        let path = |fs: &PowerCutFs, name: &str| fs.path().join(name);
        fs::write(path(&fs, "set up"), "long ago").expect("written");
        fs.sync_all().expect("synced");
        let mut file = File::create(path(&fs, "log")).expect("made");
        file.write_all(b"one").expect("written");
        file.sync_all().expect("synced");
        file.write_all(b"two").expect("written");
        fdatasync(&file).expect("synced");
        file.write_all(b"three").expect("written");
        for (name, flag) in [("sync", OFlags::SYNC), ("dsync", OFlags::DSYNC)] {
            let mut options = OpenOptions::new();
            options.create(true).write(true).custom_flags(flag.bits().cast_signed());
            let mut file = options.open(path(&fs, name)).expect("made");
            File::open(fs.path()).and_then(|folder| folder.sync_all()).expect("synced");
            file.write_all(b"written").expect("written");
        }
        fs::write(path(&fs, "forgotten"), "all").expect("written");
        fs::remove_file(path(&fs, "set up")).expect("removed");

        fs.cut(Cut::DropAll).expect("cut");
        assert!(file.write_all(b"late").is_err() && file.sync_all().is_err());
        assert!(fs::write(path(&fs, "late"), "x").is_err());
        fs.restore().expect("it is mounted again");
        assert!(file.sync_all().is_err(), "who was there before stays without power");
        assert_eq!(names(fs.path()), ["dsync", "log", "set up", "sync"]);
        for (name, left) in [("log", "onetwo"), ("sync", "written"), ("dsync", "written")] {
            assert_eq!(fs::read_to_string(path(&fs, name)).expect("read"), left);
        }
        fs::write(path(&fs, "log"), "goes on").expect("written");
    }

    #[test]
    fn a_process_that_dies_leaves_what_it_has_written_and_writes_no_more() {
        let mut fs = mount();
        let path = fs.path().join("log");
        let mut file = File::create(&path).expect("made");
        file.write_all(b"written").expect("written");
        fs.lie_about_sync().expect("told");
        fs.cut(Cut::KeepAll).expect("cut");
        assert!(file.write_all(b", late").is_err());
        fs.restore().expect("it is mounted again");
        assert!(file.write_all(b", late").is_err(), "who was there before has no part in it");
        assert_eq!(fs::read(&path).expect("read"), b"written");
    }

    #[test]
    fn a_disk_that_lies_leaves_nothing() {
        let mut fs = mount();
        let path = fs.path().join("log");
        fs::write(&path, "old").expect("written");
        fs.sync_all().expect("synced");
        fs.lie_about_sync().expect("told");
        let mut file = File::create(&path).expect("made");
        file.write_all(b"new").and_then(|()| file.sync_all()).expect("a lie");
        File::open(fs.path()).and_then(|folder| folder.sync_all()).expect("a lie");
        fs.cut(Cut::DropAll).expect("cut");
        fs.restore().expect("it is mounted again");
        assert_eq!(fs::read(&path).expect("read"), b"old");
    }

    #[test]
    fn a_torn_cut_leaves_some_of_the_rest() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let mut fs = mount();
            let path = fs.path().join("log");
            let mut file = File::create(&path).expect("made");
            file.sync_all().expect("synced");
            for _ in 0..4 {
                file.write_all(&[1; 4096]).expect("written");
            }
            fs.cut(Cut::Torn(Seed::new(seed))).expect("cut");
            fs.restore().expect("it is mounted again");
            let left = fs::read(&path).expect("read");
            assert!(left.iter().all(|byte| *byte <= 1));
            lengths.insert(left.len());
        }
        assert!(lengths.len() > 2, "{lengths:?}");
    }

    #[test]
    fn it_is_unmounted_when_its_owner_panics() {
        let (told, place) = std::sync::mpsc::channel();
        let panicked = std::thread::spawn(move || {
            let fs = mount();
            let _open = File::create(fs.path().join("open")).expect("made");
            told.send(fs.path().to_owned()).expect("somebody listens");
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        let path = place.recv().expect("told");
        assert!(!is_mounted(&path) && !path.exists());
    }

    /// The process that is killed; a test that does nothing unless it is started by the one below.
    #[test]
    fn child_mounts_and_writes_until_it_is_killed() {
        if std::env::var_os("STEADFAST_POWER_CHILD").is_none() {
            return;
        }
        let fs = mount();
        std::io::stdout().write_all(format!("\nat {}\n", fs.path().display()).as_bytes()).expect("told");
        let file = File::create(fs.path().join("a")).expect("made");
        loop {
            file.write_all_at(&[1; 4096], 0).expect("written");
        }
    }

    #[test]
    fn it_is_unmounted_when_its_owner_is_killed() {
        let child = "power::tests::with_fuse::child_mounts_and_writes_until_it_is_killed";
        let mut child = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", child, "--nocapture"])
            .env("STEADFAST_POWER_CHILD", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let path = lines.into_iter().find_map(|line| Some(line.strip_prefix("at ")?.to_owned()));
        let path = path.expect("it has mounted one");
        assert!(is_mounted(Path::new(&path)));
        child.kill().and_then(|()| child.wait()).expect("killed");
        let since = Instant::now();
        while is_mounted(Path::new(&path)) || Path::new(&path).exists() {
            assert!(since.elapsed() < Duration::from_secs(30), "nobody cleans up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_a_killed_process_left_behind_is_unmounted_by_the_next() {
        let dead = mount();
        let path = dead.path().to_owned();
        dead.kill_daemon();
        assert!(is_mounted(&path), "nobody has cleaned up");
        let fs = mount();
        assert!(is_mounted(fs.path()) && !is_mounted(&path) && !path.exists());
    }
}
