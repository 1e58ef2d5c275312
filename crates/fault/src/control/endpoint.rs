use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};

use super::socket::Socket;
use super::{CONNECTIONS_MAX, Code, serve};
use crate::Error;
use crate::injector::Leases;

/// How often the acceptor ends what has expired and looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

/// How long a connection may be silent, or refuse to take an answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WRITE_MAX: Duration = Duration::from_secs(2);

/// The threads that serve the control socket: one that accepts, and one for each connection.
#[derive(Debug)]
pub(crate) struct Endpoint {
    stop: Arc<AtomicBool>,
    socket: Arc<Socket>,
    acceptor: Option<JoinHandle<()>>,
}

impl Endpoint {
    pub(crate) fn start(path: &Path, leases: Arc<Leases>) -> Result<Self, Error> {
        let socket = Arc::new(Socket::listen(path)?);
        let io = |doing, source| Error::Io { path: path.to_owned(), doing, source };
        sockopt::set_socket_timeout(&socket.listener, Timeout::Recv, Some(TICK))
            .map_err(|errno| io("cannot set its timeout", errno.into()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (listening, stopped) = (socket.clone(), stop.clone());
        let acceptor = thread::Builder::new()
            .name("fault-control".to_owned())
            .spawn(move || accept(&listening, &leases, &stopped))
            .map_err(|source| io("cannot start its thread", source))?;
        Ok(Self { stop, socket, acceptor: Some(acceptor) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the acceptor; if that fails, it looks by itself after its tick.
        let _woken = rustix::net::shutdown(&self.socket.listener, rustix::net::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            // A thread that panicked has closed its socket; there is nothing left to do for it.
            let _joined = acceptor.join();
        }
    }
}

/// A connection and the thread that serves it.
struct Connection {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

fn accept(socket: &Socket, leases: &Arc<Leases>, stop: &AtomicBool) {
    let mut connections: Vec<Connection> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let accepted = socket.listener.accept();
        leases.sweep();
        connections.retain(|connection| !connection.thread.is_finished());
        match accepted {
            Ok((stream, _)) => connections.extend(connect(stream, leases, connections.len())),
            Err(error) if is_timeout(&error) => {}
            Err(_) if stop.load(Ordering::Acquire) => {}
            Err(error) => {
                tracing::warn!(%error, "the fault control socket could not accept a connection");
                thread::sleep(TICK);
            }
        }
    }
    for connection in connections {
        // The peer may have closed it already.
        let _closed = connection.stream.shutdown(Shutdown::Both);
        let _joined = connection.thread.join();
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Serves a new connection by a thread of its own, or tells it that there is no room.
fn connect(stream: UnixStream, leases: &Arc<Leases>, connected: usize) -> Option<Connection> {
    stream.set_read_timeout(Some(SILENCE_MAX)).ok()?;
    stream.set_write_timeout(Some(WRITE_MAX)).ok()?;
    if connected >= CONNECTIONS_MAX {
        let refusal = serve::refuse(Code::Busy, format!("{CONNECTIONS_MAX} connections are open already"));
        let _sent = serve::send(&stream, &refusal);
        return None;
    }
    let served = stream.try_clone().ok()?;
    let leases = leases.clone();
    let thread = thread::Builder::new()
        .name("fault-control".to_owned())
        .spawn(move || {
            serve::serve(&served, &leases);
            // The other handle of the connection lives until the acceptor looks again.
            let _closed = served.shutdown(Shutdown::Both);
        })
        .ok()?;
    Some(Connection { stream, thread })
}
