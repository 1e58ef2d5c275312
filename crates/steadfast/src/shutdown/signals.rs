//! SIGTERM and SIGINT.
//!
//! They are heard by a thread of its own with a runtime of its own: when the service's runtime is stalled, which is
//! one of the faults that a service is proven against, an operator can still end it.

use std::io;
use std::thread::JoinHandle;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Hears SIGTERM and SIGINT: the first cancels the [token](Self::token), the second ends the process at once with
/// the exit code 128 + signal (143, 130).
///
/// Dropping it joins its thread. The two signals have no effect from then on, for the handlers stay installed.
#[derive(Debug)]
pub struct Signals {
    shutdown: CancellationToken,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// Starts to listen; signals from before that have their default effect.
    ///
    /// # Errors
    /// When a handler cannot be installed or no thread can be started.
    pub fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (shutdown, stop) = (CancellationToken::new(), CancellationToken::new());
        let (asked, stopped) = (shutdown.clone(), stop.clone());
        let (installed, is_installed) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut heard = match Heard::install() {
                    Ok(heard) => heard,
                    Err(error) => {
                        let _ = installed.send(Err(error));
                        return;
                    }
                };
                let _ = installed.send(Ok(()));
                tokio::select! {
                    () = heard.listen(&asked) => {}
                    () = stopped.cancelled() => {}
                }
            });
        })?;
        let signals = Self { shutdown, stop, thread: Some(thread) };
        is_installed.recv().unwrap_or_else(|_| Err(io::Error::other("the signal thread died")))?;
        Ok(signals)
    }

    /// Returns the token that the first signal cancels.
    pub fn token(&self) -> CancellationToken {
        self.shutdown.clone()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Heard {
    terminate: Signal,
    interrupt: Signal,
}

impl Heard {
    fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn listen(&mut self, shutdown: &CancellationToken) {
        let (name, _) = self.next().await;
        tracing::info!(signal = name, "shutting down, a second signal ends at once");
        shutdown.cancel();
        let (name, number) = self.next().await;
        tracing::warn!(signal = name, "second signal, ending at once");
        std::process::exit(128 + number);
    }

    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
            _ = self.interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        }
    }
}
