//! Where the process's memory cgroup is, and what it says: version 2, or version 1 where that holds the controller.
//!
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>, <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>

use std::path::{Path, PathBuf};

use super::Cgroup;

/// The folders of a cgroup and of those above it, which all have limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    version: Version,
    /// The process's own first.
    folders: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Hierarchy {
    /// Finds the cgroup by what `/proc/self/cgroup` and `/proc/self/mountinfo` say.
    pub(super) fn locate(cgroup: &str, mountinfo: &str) -> Option<Self> {
        Self::find(Version::One, cgroup, mountinfo).or_else(|| Self::find(Version::Two, cgroup, mountinfo))
    }

    fn find(version: Version, cgroup: &str, mountinfo: &str) -> Option<Self> {
        // hierarchy-ID:controllers:path; version 2 has the ID 0 and no controllers.
        let path = cgroup.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let is_it = match version {
                Version::One => controllers.split(',').any(|name| name == "memory"),
                Version::Two => id == "0" && controllers.is_empty(),
            };
            is_it.then_some(path)
        })?;
        // ID parent major:minor root mount-point options [optional…] - type source super-options
        let (root, mount) = mountinfo.lines().find_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            let mut about = file_system.split(' ');
            let (kind, options) = (about.next()?, about.nth(1)?);
            let is_it = match version {
                Version::One => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
                Version::Two => kind == "cgroup2",
            };
            let mut fields = mount.split(' ').skip(3);
            is_it.then_some((fields.next()?, fields.next()?))
        })?;
        // In a container the mount shows a part of the tree, and the path may be of the whole.
        let within = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        let mount = Path::new(mount);
        // Joining nothing would leave a slash behind.
        let own = if within == Path::new("") { mount.to_owned() } else { mount.join(within) };
        let folders = own.ancestors().take_while(|folder| folder.starts_with(mount)).map(Path::to_owned);
        Some(Self { version, folders: folders.collect() })
    }

    /// Returns the file in which the kernel tells of memory pressure of this cgroup, where it has one.
    pub(super) fn pressure_file(&self) -> Option<PathBuf> {
        let file = self.folders.first()?.join("memory.pressure");
        (self.version == Version::Two && file.exists()).then_some(file)
    }

    /// Returns the one of the cgroups that has the least left; `None` when none has a limit.
    pub(super) fn read(&self) -> Option<Cgroup> {
        let limited = self.folders.iter().filter_map(|folder| self.read_one(folder));
        limited.min_by_key(|cgroup| cgroup.limit.saturating_sub(cgroup.used))
    }

    fn read_one(&self, folder: &Path) -> Option<Cgroup> {
        let (limit, used, inactive) = match self.version {
            Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            Version::Two => ("memory.max", "memory.current", "inactive_file"),
        };
        let read = |name| std::fs::read_to_string(folder.join(name)).ok();
        let limit = parse_limit(&read(limit)?)?;
        let used: u64 = read(used)?.trim().parse().ok()?;
        let reclaimable = read("memory.stat").and_then(|stat| field(&stat, inactive)).unwrap_or(0);
        Some(Cgroup { limit, used: used.saturating_sub(reclaimable) })
    }
}

/// Reads a limit; `None` when there is none, which version 1 says by a number close to 2⁶³.
fn parse_limit(text: &str) -> Option<u64> {
    const NONE: u64 = 1 << 62;
    text.trim().parse().ok().filter(|limit| *limit < NONE)
}

/// Returns the number behind `name` in lines of names and numbers.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS_1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const MOUNTS_2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    fn folders(cgroup: &str, mountinfo: &str) -> Vec<String> {
        let found = Hierarchy::locate(cgroup, mountinfo).expect("there is one");
        found.folders.iter().map(|folder| folder.display().to_string()).collect()
    }

    #[test]
    fn version_1_holds_the_controller() {
        let cgroup = "9:name=systemd:/\n4:memory:/a/b\n0::/";
        let expected = ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"];
        assert_eq!(folders(cgroup, MOUNTS_1), expected);
    }

    #[test]
    fn version_2_and_a_container_that_sees_a_part() {
        let expected =
            ["/sys/fs/cgroup/system.slice/orders.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"];
        assert_eq!(folders("0::/system.slice/orders.service", MOUNTS_2), expected);
        let part = "29 23 0:26 /pod/c1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw";
        assert_eq!(folders("0::/pod/c1", part), ["/sys/fs/cgroup"]);
        assert_eq!(folders("0::/", part), ["/sys/fs/cgroup"]);
        assert_eq!(Hierarchy::locate("", ""), None);
    }

    #[test]
    fn the_tightest_of_all_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let own = root.path().join("pod/orders");
        std::fs::create_dir_all(&own).expect("it is new");
        let write = |folder: &Path, name: &str, text: &str| {
            std::fs::write(folder.join(name), text).expect("it can be written");
        };
        for (folder, limit, used) in
            [(own.as_path(), "max", "700"), (own.parent().expect("it has one"), "1000\n", "900\n")]
        {
            write(folder, "memory.max", limit);
            write(folder, "memory.current", used);
            write(folder, "memory.stat", "anon 600\ninactive_file 100\nactive_file 7\n");
        }
        let mounts = format!("29 23 0:26 / {} rw - cgroup2 cgroup2 rw", root.path().display());
        let found = Hierarchy::locate("0::/pod/orders", &mounts).expect("there is one");
        assert_eq!(found.read(), Some(Cgroup { limit: 1000, used: 800 }));
        assert_eq!(found.pressure_file(), None);
        write(&own, "memory.max", "750");
        assert_eq!(found.read(), Some(Cgroup { limit: 750, used: 600 }), "150 are left here, 200 above");
        write(&own, "memory.pressure", "");
        assert_eq!(found.pressure_file(), Some(own.join("memory.pressure")));
    }

    #[test]
    fn version_1_says_by_a_large_number_that_there_is_no_limit() {
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("1048576\n"), Some(1 << 20));
    }
}
