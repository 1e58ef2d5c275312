//! What memory there is, as an input: tests and faults put their own in its place.

mod cgroup;
mod pressure;
mod process;

use std::future::Future;
use std::io;
use std::pin::Pin;

use serde::Serialize;

pub use process::ProcessMemory;

/// Something that says how much memory the process has and may have.
pub trait Memory: Send + Sync + 'static {
    /// Returns how it is now. It is called at admissions, so it must not take long.
    ///
    /// # Errors
    /// When it cannot be found out; the pool goes by what jobs declare then.
    fn sample(&self) -> io::Result<Sample>;

    /// Returns the most bytes that were resident since the process started, where that is known.
    fn peak(&self) -> Option<u64> {
        None
    }

    /// Waits until memory is under pressure, which means that tasks stall for want of it. By default it never is.
    ///
    /// # Cancel safety
    /// Dropping the future may miss pressure that comes before the next one is polled.
    fn pressure(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    /// Returns how pressure is found out.
    fn pressure_source(&self) -> PressureSource {
        PressureSource::None
    }
}

/// The memory of the process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// The bytes of the process that are resident.
    pub resident: u64,
    /// What its cgroup says, where there is one with a limit.
    pub cgroup: Option<Cgroup>,
}

/// The memory of the cgroup that has the least left, of the process's own and those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cgroup {
    /// The most bytes that it may have.
    pub limit: u64,
    /// The bytes that it has, less what the kernel takes back first (file pages that were not used lately).
    pub used: u64,
}

impl Sample {
    /// Returns the bytes that the cgroup has left, if it has a limit.
    pub fn room(&self) -> Option<u64> {
        self.cgroup.map(|cgroup| cgroup.limit.saturating_sub(cgroup.used))
    }
}

/// How memory pressure is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PressureSource {
    /// Not at all.
    #[default]
    None,
    /// The kernel tells at once: a PSI trigger.
    Trigger,
    /// The stall time is read once a second, for the kernel permits no trigger.
    Interval,
}

impl PressureSource {
    /// Returns its name, which logs show.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Trigger => "trigger",
            Self::Interval => "interval",
        }
    }
}
