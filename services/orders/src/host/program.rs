use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use steadfast::fault::{FaultLayer, Injector};
use tokio_util::sync::CancellationToken;

use super::address;
use super::arguments::Common;
use super::serve::Listener;

/// How long open requests may take to finish when the program is asked to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long closing may take after that.
const CLOSE_WITHIN: Duration = Duration::from_secs(4);

/// A program that listens, then gets ready, then serves until it is asked to stop.
pub struct Program {
    listener: Listener,
    addr_file: Option<PathBuf>,
    injector: Option<Injector>,
    stopping: CancellationToken,
}

impl Program {
    /// Takes the port, and starts the fault injector if the environment asks for it.
    ///
    /// # Errors
    /// The address is in use, or the control socket cannot be made.
    pub async fn bind(common: &Common, stopping: CancellationToken) -> anyhow::Result<Self> {
        let injector = Injector::from_env().context("cannot start the fault injector")?;
        let listener = Listener::bind(common.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", common.listen))?;
        Ok(Self { listener, addr_file: common.addr_file.clone(), injector, stopping })
    }

    /// Returns the layer through which faults act on requests; it does nothing when there is no injector.
    pub fn faults(&self) -> FaultLayer {
        self.injector.as_ref().map_or_else(FaultLayer::idle, Injector::layer)
    }

    /// Returns the token that is cancelled when the program is asked to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Serves `router`, while `start` gets the program ready and returns how to close it.
    ///
    /// # Errors
    /// The program could not be made ready, or not be closed.
    pub async fn run<Close>(
        self,
        router: Router,
        start: impl Future<Output = anyhow::Result<Close>>,
    ) -> anyhow::Result<()>
    where
        Close: Future<Output = anyhow::Result<()>>,
    {
        let Self { listener, addr_file, injector, stopping } = self;
        let address = listener.address();
        // Nobody can connect before the socket listens, and it does since it was bound.
        if let Some(file) = &addr_file {
            address::write(file, address).with_context(|| format!("cannot write {}", file.display()))?;
        }
        tracing::info!(%address, "listening");
        let server = tokio::spawn(listener.serve(router, stopping.clone(), DRAIN_WITHIN));
        let close = tokio::select! {
            close = start => close.map(Some),
            () = stopping.cancelled() => Ok(None),
        };
        if let Ok(Some(_)) = &close {
            tracing::info!("ready");
            stopping.cancelled().await;
        }
        tracing::info!("stopping");
        stopping.cancel();
        server.await.context("the server failed")?;
        if let Some(close) = close? {
            tokio::time::timeout(CLOSE_WITHIN, close).await.context("closing took too long")??;
        }
        drop(injector);
        Ok(())
    }
}
