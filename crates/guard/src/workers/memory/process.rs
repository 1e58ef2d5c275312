//! The memory of this process, as Linux says.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;

use super::cgroup::Hierarchy;
use super::pressure::Pressure;
use super::{Memory, PressureSource, Sample};

/// The memory of this process: `/proc/self/statm`, its cgroup, and PSI of the cgroup or else of the whole system.
///
/// Pressure is told by a trigger where the kernel permits one, which needs a tokio runtime with I/O; elsewhere the
/// stall time is read once a second. [`Memory::pressure_source`] says which.
///
/// # Examples
/// ```
/// use steadfast_guard::workers::memory::{Memory, ProcessMemory};
///
/// let memory = ProcessMemory::new();
/// assert!(memory.sample()?.resident > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ProcessMemory {
    statm: Option<File>,
    page: u64,
    cgroup: Option<Hierarchy>,
    pressure: Pressure,
}

impl ProcessMemory {
    /// Finds out where the system says what.
    pub fn new() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cgroup = Hierarchy::locate(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        let own = cgroup.as_ref().and_then(Hierarchy::pressure_file);
        let pressure = Pressure::watch(own.as_deref().unwrap_or(Path::new("/proc/pressure/memory")));
        Self { statm: File::open("/proc/self/statm").ok(), page: page_size(), cgroup, pressure }
    }
}

impl Default for ProcessMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory for ProcessMemory {
    fn sample(&self) -> io::Result<Sample> {
        let statm = self.statm.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let mut text = [0; 128];
        let length = statm.read_at(&mut text, 0)?;
        let pages = std::str::from_utf8(&text[..length]).ok().and_then(resident_pages);
        let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Sample { resident: pages * self.page, cgroup: self.cgroup.as_ref().and_then(Hierarchy::read) })
    }

    fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes << 10)
    }

    fn pressure(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.pressure.wait())
    }

    fn pressure_source(&self) -> PressureSource {
        self.pressure.source()
    }
}

/// Returns the second field of `/proc/self/statm`.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// Returns the size of a page in bytes, from the auxiliary vector that the kernel gave the process.
fn page_size() -> u64 {
    const AT_PAGESZ: usize = 6;
    const USUAL: u64 = 4096;
    const WORD: usize = size_of::<usize>();
    let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).ok();
    let found = vector
        .chunks_exact(2 * WORD)
        .find_map(|entry| (word(&entry[..WORD])? == AT_PAGESZ).then(|| word(&entry[WORD..]))?);
    found.map_or(USUAL, |size| size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_is_resident_and_raises_the_peak() {
        let memory = ProcessMemory::new();
        let before = memory.sample().expect("this is Linux").resident;
        let touched = vec![1_u8; 64 << 20];
        let after = memory.sample().expect("this is Linux").resident;
        assert!(after - before > 60 << 20, "{before} and {after}");
        drop(std::hint::black_box(touched));
        assert!(memory.peak().is_some_and(|peak| peak - before > 60 << 20), "{:?}", memory.peak());
    }

    #[test]
    fn the_page_size_is_a_power_of_two() {
        assert!(page_size().is_power_of_two() && page_size() >= 4096);
    }
}
