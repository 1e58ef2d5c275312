//! Memory pressure: the time in which tasks stall for want of memory, as the kernel accounts for it (PSI).
//!
//! <https://docs.kernel.org/accounting/psi.html>. Without privileges a trigger's window must be a multiple of two
//! seconds, so it is two.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::PressureSource;

/// Some task stalled for a tenth of two seconds.
const TRIGGER: &[u8] = b"some 200000 2000000\0";
/// The flag `O_NONBLOCK`, the same on all architectures that Linux and Rust share but for MIPS and SPARC.
const NONBLOCK: i32 = 0o4000;
const READ_EVERY: Duration = Duration::from_secs(1);
/// The stall time in [`READ_EVERY`] that is pressure, in microseconds.
const STALL_MIN: u64 = 100_000;

/// Tells of pressure.
#[derive(Debug)]
pub(super) enum Pressure {
    None,
    /// The trigger lives as long as the file is open. It joins the runtime when it is first waited for.
    Trigger(Mutex<Registered>),
    Interval(PathBuf),
}

#[derive(Debug)]
pub(super) enum Registered {
    Not(Option<File>),
    With(Arc<AsyncFd<File>>),
}

impl Pressure {
    /// Watches `file` by a trigger, where the kernel permits one.
    pub(super) fn watch(file: &Path) -> Self {
        match trigger(file) {
            Ok(trigger) => Self::Trigger(Mutex::new(Registered::Not(Some(trigger)))),
            Err(_) if stalled(file).is_some() => Self::Interval(file.to_owned()),
            Err(_) => Self::None,
        }
    }

    pub(super) fn source(&self) -> PressureSource {
        match self {
            Self::None => PressureSource::None,
            Self::Trigger(_) => PressureSource::Trigger,
            Self::Interval(_) => PressureSource::Interval,
        }
    }

    pub(super) async fn wait(&self) {
        match self {
            Self::None => std::future::pending().await,
            Self::Interval(file) => wait_at_interval(file).await,
            Self::Trigger(trigger) => {
                let joined = trigger.lock().join();
                if let Err(error) = told(joined).await {
                    // Said once, and from then on there is only the sampling.
                    tracing::error!(%error, "memory pressure cannot be waited for; it is seen by sampling alone");
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

impl Registered {
    fn join(&mut self) -> io::Result<Arc<AsyncFd<File>>> {
        if let Self::Not(file) = self {
            let file = file.take().ok_or_else(|| io::Error::other("it could not be waited for before"))?;
            #[expect(deprecated, reason = "a file keeps its descriptor; what came instead is unsafe to call")]
            let trigger = AsyncFd::with_interest(file, Interest::PRIORITY)?;
            *self = Self::With(Arc::new(trigger));
        }
        match self {
            Self::With(trigger) => Ok(Arc::clone(trigger)),
            Self::Not(_) => Err(io::Error::other("it was not registered")),
        }
    }
}

fn trigger(file: &Path) -> io::Result<File> {
    let mut trigger = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCK).open(file)?;
    trigger.write_all(TRIGGER)?;
    Ok(trigger)
}

async fn told(trigger: io::Result<Arc<AsyncFd<File>>>) -> io::Result<()> {
    trigger?.ready(Interest::PRIORITY).await?.clear_ready();
    Ok(())
}

async fn wait_at_interval(file: &Path) {
    let mut before = stalled(file);
    loop {
        tokio::time::sleep(READ_EVERY).await;
        let now = stalled(file);
        if let (Some(before), Some(now)) = (before, now)
            && now.saturating_sub(before) >= STALL_MIN
        {
            return;
        }
        before = now;
    }
}

/// Returns for how long some task has stalled since the start, in microseconds.
fn stalled(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.split(' ').find_map(|field| field.strip_prefix("total=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn write(file: &Path, total: u64) {
        let text = format!("some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 total=7\n");
        std::fs::write(file, text).expect("it can be written");
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_trigger_is_permitted_the_stall_time_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("memory.pressure");
        write(&file, 5);
        let pressure = Pressure::Interval(file.clone());
        let mut wait = Box::pin(pressure.wait());
        let long = 10 * READ_EVERY;
        assert!(timeout(long, &mut wait).await.is_err(), "nothing stalls");
        write(&file, 5 + STALL_MIN - 1);
        assert!(timeout(long, &mut wait).await.is_err(), "that is not enough");
        write(&file, 5 + 2 * STALL_MIN);
        assert!(timeout(long, &mut wait).await.is_ok());
    }

    #[test]
    fn the_source_is_said() {
        assert_eq!(Pressure::watch(Path::new("/nowhere")).source(), PressureSource::None);
        let real = Path::new("/proc/pressure/memory");
        if !real.exists() {
            eprintln!("skipped in part: the kernel of this host does not account for pressure");
            return;
        }
        assert_ne!(Pressure::watch(real).source(), PressureSource::None);
    }

    #[tokio::test]
    async fn a_trigger_can_be_waited_for() {
        let pressure = Pressure::watch(Path::new("/proc/pressure/memory"));
        if pressure.source() != PressureSource::Trigger {
            eprintln!("skipped: this host grants no trigger of memory pressure, but {:?}", pressure.source());
            return;
        }
        let mut wait = Box::pin(pressure.wait());
        // Whether there is pressure now is not ours to say; that the trigger is accepted is.
        let _ = timeout(Duration::from_millis(20), &mut wait).await;
        drop(wait);
        assert!(matches!(&pressure, Pressure::Trigger(trigger) if trigger.lock().join().is_ok()));
    }
}
