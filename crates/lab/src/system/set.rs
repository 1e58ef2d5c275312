//! All processes of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::family::{extinguish, marked};
use super::spawner::Spawner;
use super::{Death, Error, Process, ProcessConfig, SystemConfig};
use crate::undo::UndoLog;

/// The processes of a run. When it is dropped, those that still run are killed with all their descendants.
///
/// # Examples
/// ```
/// use steadfast_lab::system::{ProcessConfig, System, SystemConfig};
/// use steadfast_lab::undo::{StateDir, UndoLog};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().to_owned();
/// let state = StateDir::at(&folder.join("state"))?;
/// let undo = UndoLog::create(&state, &folder, "run-1")?;
/// let (system, mut deaths) = System::new(SystemConfig { folder, bin_dirs: vec![] }, undo)?;
///
/// let sturdy = system.start(ProcessConfig::new("sturdy", ["sleep", "1000"])).await?;
/// assert!(sturdy.identity().is_some_and(|process| process.is_alive()));
///
/// let fragile = system.start(ProcessConfig::new("fragile", ["sh", "-c", "echo ouch; exit 3"])).await;
/// let death = deaths.recv().await.expect("it ends by itself");
/// assert_eq!((death.status.as_str(), death.output), ("exited with 3", vec!["ouch".to_owned()]));
/// # drop(fragile);
/// system.stop().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct System {
    shared: Arc<Shared>,
    /// In the order of their first start.
    processes: Mutex<Vec<Process>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SystemConfig,
    pub(super) undo: Arc<UndoLog>,
    pub(super) spawner: Spawner,
    pub(super) deaths: mpsc::UnboundedSender<Death>,
    /// No process is started any more.
    pub(super) closed: AtomicBool,
}

impl System {
    /// Makes a system without processes, and the channel on which those are reported that end by themselves. There
    /// is at most one report per start of a process.
    ///
    /// # Errors
    /// The thread that starts processes cannot be started.
    pub fn new(
        config: SystemConfig,
        undo: Arc<UndoLog>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Death>), Error> {
        let no_thread =
            |source| Error::Spawn { name: "system".to_owned(), program: "spawner thread".into(), source };
        let spawner = Spawner::start().map_err(no_thread)?;
        let (deaths, received) = mpsc::unbounded_channel();
        let closed = AtomicBool::new(false);
        let shared = Arc::new(Shared { config, undo, spawner, deaths, closed });
        Ok((Self { shared, processes: Mutex::new(Vec::new()) }, received))
    }

    /// Starts a process and waits until it is ready.
    ///
    /// # Errors
    /// As [`Process::start`]; [`Error::NameTaken`] if there is one of that name.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the process to [`System::stop`].
    pub async fn start(&self, config: ProcessConfig) -> Result<Process, Error> {
        let process = {
            let mut processes = self.processes.lock();
            if processes.iter().any(|process| process.name() == config.name) {
                return Err(Error::NameTaken { name: config.name });
            }
            let process = Process::new(config, Arc::clone(&self.shared));
            processes.push(process.clone());
            process
        };
        process.start().await?;
        Ok(process)
    }

    /// Returns the process of that name.
    pub fn process(&self, name: &str) -> Option<Process> {
        self.processes.lock().iter().find(|process| process.name() == name).cloned()
    }

    /// Returns all processes in the order of their first start.
    pub fn processes(&self) -> Vec<Process> {
        self.processes.lock().clone()
    }

    /// Stops all processes, the last started first, and sees that none is left. From then on none can be started.
    ///
    /// # Errors
    /// The first of what went wrong; the other processes are stopped all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves those that were not stopped yet to be killed when the system is dropped.
    pub async fn stop(&self) -> Result<(), Error> {
        self.shared.closed.store(true, Ordering::Release);
        let mut result = Ok(());
        for process in self.processes().iter().rev() {
            result = result.and(process.stop().await);
        }
        let marker = self.shared.undo.marker().to_owned();
        let sweep = move || extinguish(SWEEP_WITHIN, || marked(&marker));
        let swept = tokio::task::spawn_blocking(sweep).await;
        let left = |problem: String| Error::Signal { name: "system".to_owned(), problem };
        let swept = match swept {
            Ok(swept) => swept.map(drop).map_err(|survivors| left(survivors.to_string())),
            Err(error) => Err(left(error.to_string())),
        };
        result.and(swept)
    }
}

/// How long processes that left their session may take to die of SIGKILL.
const SWEEP_WITHIN: Duration = Duration::from_secs(5);

impl Drop for System {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        for process in self.processes.lock().iter().rev() {
            process.kill_at_once();
        }
        if let Err(survivors) = extinguish(SWEEP_WITHIN, || marked(self.shared.undo.marker())) {
            tracing::error!(error = %survivors, "left behind");
        }
    }
}
