//! Ending a process, and seeing that nothing of it is left.

use std::time::Duration;

use super::family::{self, extinguish};
use super::instance::{Expected, Instance};
use super::{Error, Process, Scope, Signal};

/// How long the descendants of an ended process may take to die of SIGKILL.
const EXTINGUISH_WITHIN: Duration = Duration::from_secs(5);

impl Process {
    pub(crate) fn stop_blocking(&self) -> Result<(), Error> {
        let _operation = self.inner.operation.lock();
        let Some(instance) = self.inner.state.lock().instance.clone() else { return Ok(()) };
        if instance.exit.get().is_none() {
            *instance.expected.lock() = Some(Expected::Stop);
            let policy = self.inner.config.stop;
            self.send(policy.signal, instance.identity)?;
            // A stopped process receives the signal when it goes on.
            for member in family::of_leader(instance.identity) {
                self.send(Signal::Cont, member)?;
            }
            instance.exit.wait(policy.within);
        }
        self.finish(&instance)
    }

    pub(crate) fn kill_blocking(&self, signal: Signal, scope: Scope) -> Result<(), Error> {
        let _operation = self.inner.operation.lock();
        let instance = self.running().ok_or_else(|| self.not_running())?;
        let members = self.members(scope)?;
        let main_is_meant = members.contains(&instance.identity);
        if main_is_meant {
            *instance.expected.lock() = Some(Expected::Kill(signal));
            // First of all, so that it cannot replace the workers that die next.
            self.send(signal, instance.identity)?;
        }
        for member in members.into_iter().filter(|member| *member != instance.identity) {
            self.send(signal, member)?;
        }
        if !main_is_meant {
            return Ok(());
        }
        if instance.exit.wait(self.inner.config.stop.within).is_none() {
            self.send(Signal::Kill, instance.identity)?;
            instance.exit.wait(EXTINGUISH_WITHIN);
        }
        if scope == Scope::Group { self.finish(&instance) } else { Ok(()) }
    }

    /// Kills at once, without asking; for when nobody can wait.
    pub(super) fn kill_at_once(&self) {
        let _operation = self.inner.operation.lock();
        let instance = self.inner.state.lock().instance.clone();
        if let Some(instance) = instance {
            instance.expected.lock().get_or_insert(Expected::Stop);
            if let Err(error) = self.finish(&instance) {
                tracing::error!(process = self.name(), %error, "left behind");
            }
        }
    }

    /// Kills what is left of the instance and its descendants, and writes down that nothing is.
    pub(super) fn finish(&self, instance: &Instance) -> Result<(), Error> {
        self.send(Signal::Kill, instance.identity)?;
        let killed = extinguish(EXTINGUISH_WITHIN, || family::of_leader(instance.identity));
        killed.map_err(|survivors| self.signal_error(survivors.to_string()))?;
        instance.exit.wait(EXTINGUISH_WITHIN);
        let waiter = instance.waiter.lock().take();
        if let Some(waiter) = waiter {
            let _ = waiter.join();
        }
        self.inner.shared.undo.close(instance.opened, "run", "none of its processes is left")?;
        Ok(())
    }
}
