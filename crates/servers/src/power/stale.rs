//! Mounts that were left behind by processes that are gone.

use std::path::Path;

use rustix::mount::{UnmountFlags, unmount};

const PREFIX: &str = "steadfast-power";

/// The name of the device that this process mounts, by which others see whose it is.
pub(super) fn source() -> String {
    let id = std::process::id();
    format!("{PREFIX}:{id}:{}", started(id).unwrap_or_default())
}

/// Unmounts whatever belongs to a process that is gone.
pub(super) fn unmount_all() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for path in mounts.lines().filter_map(left_behind) {
        // By force too: a thread of the dead may wait for an answer, which keeps it from ending.
        let _ = unmount(&path, UnmountFlags::FORCE | UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(Path::new(&path));
    }
}

/// Returns where the file system of this line of `mountinfo` is mounted, if it is one of ours and its process is gone.
fn left_behind(line: &str) -> Option<String> {
    let (mount, device) = line.split_once(" - ")?;
    let mut owner = device.split(' ').nth(1)?.strip_prefix(PREFIX)?.strip_prefix(':')?.split(':');
    let (id, start) = (owner.next()?.parse().ok()?, owner.next()?);
    let alive = started(id).is_some_and(|started| started == start);
    let path = mount.split(' ').nth(4)?.replace("\\040", " ");
    (!alive).then_some(path)
}

/// Returns when the process started that has this id, by the kernel's clock; none if it is gone, or a zombie.
fn started(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_of_processes_that_are_gone_are_left_behind() {
        let line = |source: &str| {
            format!("99 28 0:51 / /tmp/a\\040b rw,nosuid - fuse {source} rw,user_id=0,group_id=0,allow_other")
        };
        assert_eq!(left_behind(&line(&source())), None);
        assert_eq!(left_behind(&line("sshfs")), None);
        let gone = format!("{PREFIX}:{}:1", std::process::id());
        assert_eq!(left_behind(&line(&gone)).as_deref(), Some("/tmp/a b"), "another process had the id");
        assert_eq!(left_behind("28 1 254:0 / / rw shared:1 - ext4 /dev/vda rw"), None);
    }
}
