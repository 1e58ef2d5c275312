//! Stands between a client and its server, and cuts connections, freezes them or slows them down.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What becomes of the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// None goes through; the connection stays open.
    Frozen,
    /// Each goes through after that time, there and back.
    Slow(Duration),
}

pub(crate) struct Disturber {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepts: AbortOnDropHandle<()>,
}

struct Shared {
    links: Mutex<Vec<Link>>,
    /// What new connections are like.
    new: Mutex<Mode>,
    accepted: AtomicUsize,
}

struct Link {
    mode: watch::Sender<Mode>,
    /// Ends with it.
    _task: AbortOnDropHandle<()>,
}

impl Disturber {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (links, new) = (Mutex::default(), Mutex::new(Mode::Pass));
        let shared = Arc::new(Shared { links, new, accepted: AtomicUsize::new(0) });
        let accepting = Arc::clone(&shared);
        let accepts = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.accept(client, server);
            }
        });
        Self { address, shared, _accepts: AbortOnDropHandle::new(accepts) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says how many connections were made.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.shared.links.lock().expect("nobody panics").clear();
    }

    /// Changes the first `count` connections.
    pub(crate) fn change(&self, count: usize, mode: Mode) {
        for link in self.shared.links.lock().expect("nobody panics").iter().take(count) {
            link.mode.send_replace(mode);
        }
    }

    /// Changes all connections, those to come too.
    pub(crate) fn change_all(&self, mode: Mode) {
        *self.shared.new.lock().expect("nobody panics") = mode;
        self.change(usize::MAX, mode);
    }
}

impl Shared {
    fn accept(&self, client: TcpStream, server: SocketAddr) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let (mode, watched) = watch::channel(*self.new.lock().expect("nobody panics"));
        let task = tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else { return };
            for stream in [&client, &server] {
                let _ = stream.set_nodelay(true);
            }
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            // As soon as one side ends, so does the other.
            tokio::select! {
                () = pump(from_client, to_server, watched.clone()) => {}
                () = pump(from_server, to_client, watched) => {}
            }
        });
        let link = Link { mode, _task: AbortOnDropHandle::new(task) };
        self.links.lock().expect("nobody panics").push(link);
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || mode.wait_for(|mode| *mode != Mode::Frozen).await.is_err() {
            return;
        }
        let now = *mode.borrow();
        if let Mode::Slow(time) = now {
            tokio::time::sleep(time).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
