use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// At most so many connections; more wait in the listen queue of the kernel.
const CONNECTIONS_MAX: usize = 4096;
/// How many requests one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 1024;
/// How long a client may take for the head of a request, also the longest idle time of a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long to pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves HTTP/1.1 and HTTP/2 without TLS on one port; gRPC is HTTP/2.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use or not of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Returns the address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `shutdown` is cancelled, and returns the connections that are open then; idle ones close by
    /// themselves. Nobody can connect any more.
    pub async fn serve(self, router: Router, shutdown: CancellationToken) -> Connections {
        let (slots, tracker) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), TaskTracker::new());
        let abort = CancellationToken::new();
        loop {
            let accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await.expect("never closed");
                (self.socket.accept().await, slot)
            };
            let (accepted, slot) = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (router, shutdown, abort) = (router.clone(), shutdown.clone(), abort.clone());
                    tracker.spawn(async move {
                        let _slot = slot;
                        tokio::select! {
                            () = abort.cancelled() => {}
                            () = connection(stream, router, shutdown) => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        tracker.close();
        Connections { tracker, abort: abort.drop_guard() }
    }
}

/// Connections with open requests; dropping it closes them.
pub struct Connections {
    tracker: TaskTracker,
    abort: DropGuard,
}

impl Connections {
    /// Lets open requests finish for at most `within`, then closes the connections that are left: how long a client takes
    /// for its request is not in this program's hand.
    pub async fn drain(self, within: Duration) {
        if tokio::time::timeout(within, self.tracker.wait()).await.is_err() {
            tracing::warn!(connections = self.tracker.len(), "closing connections that did not drain");
            drop(self.abort);
            self.tracker.wait().await;
        }
    }
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Answers are small and must not wait for more.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection ended early");
    }
}
