use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use steadfast::base::units::HumanDuration;
use steadfast::fault::{FaultLayer, Injector};
use steadfast::shutdown::{Limits, Phase, Sequence};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::address;
use super::arguments::Common;
use super::diagnostics::Shown;
use super::serve::Listener;

/// How long the phases of a shutdown may take: half a second less than a program has in all.
const LIMITS: Limits = Limits {
    stop_taking: HumanDuration(Duration::from_millis(500)),
    drain: HumanDuration(Duration::from_secs(4)),
    flush: HumanDuration(Duration::from_secs(4)),
    close: HumanDuration(Duration::from_secs(1)),
};
/// How long open requests may take to finish: less than the phase, so that the rest is closed within it.
const REQUESTS_WITHIN: Duration = Duration::from_millis(3500);

/// Creates the steps by which a program ends: [`Program::run`] adds that it stops listening ([`Phase::StopTaking`]) and
/// lets open requests finish ([`Phase::Drain`]).
pub fn ending() -> Sequence {
    Sequence::new(LIMITS)
}

/// A program that listens, then gets ready, then serves until it is asked to stop.
pub struct Program {
    listener: Listener,
    addr_file: Option<PathBuf>,
    injector: Option<Injector>,
    shown: Shown,
    stopping: CancellationToken,
}

impl Program {
    /// Takes the port, and starts the fault injector if the environment asks for it.
    ///
    /// # Errors
    /// The address is in use, the control socket cannot be made, or the token for diagnostics cannot be used.
    pub async fn bind(common: &Common, stopping: CancellationToken) -> anyhow::Result<Self> {
        let injector = Injector::from_env().context("cannot start the fault injector")?;
        let listener = Listener::bind(common.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", common.listen))?;
        let shown = Shown::of(common)?;
        Ok(Self { listener, addr_file: common.addr_file.clone(), injector, shown, stopping })
    }

    /// Returns what the program shows of itself.
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Returns the layer through which faults act on requests; it does nothing when there is no injector.
    pub fn faults(&self) -> FaultLayer {
        self.injector.as_ref().map_or_else(FaultLayer::idle, Injector::layer)
    }

    /// Returns the token that is cancelled when the program is asked to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Serves `router`, while `start` gets the program ready and returns how it [ends](ending).
    ///
    /// # Errors
    /// The program could not be made ready, or steps of its end failed.
    pub async fn run(
        self,
        router: Router,
        start: impl Future<Output = anyhow::Result<Sequence>>,
    ) -> anyhow::Result<()> {
        let Self { listener, addr_file, injector, stopping, .. } = self;
        let address = listener.address();
        // Nobody can connect before the socket listens, and it does since it was bound.
        if let Some(file) = &addr_file {
            address::write(file, address).with_context(|| format!("cannot write {}", file.display()))?;
        }
        tracing::info!(%address, "listening");
        let server = tokio::spawn(listener.serve(router, stopping.clone()));
        let started = tokio::select! {
            started = start => started.map(Some),
            () = stopping.cancelled() => Ok(None),
        };
        if let Ok(Some(_)) = &started {
            tracing::info!("ready");
            stopping.cancelled().await;
        }
        tracing::info!("stopping");
        stopping.cancel();
        let (started, mut sequence) = match started {
            Ok(sequence) => (Ok(()), sequence.unwrap_or_else(ending)),
            Err(error) => (Err(error), ending()),
        };
        let (hand_over, connections) = oneshot::channel();
        sequence.add(Phase::StopTaking, "listener", async move {
            // Nobody waits any more where the whole sequence was given up.
            let _ = hand_over.send(server.await?);
            Ok(())
        });
        sequence.add(Phase::Drain, "requests", async move {
            connections.await?.drain(REQUESTS_WITHIN).await;
            Ok(())
        });
        let ended = sequence.run().await;
        drop(injector);
        started?;
        Ok(ended?)
    }
}
