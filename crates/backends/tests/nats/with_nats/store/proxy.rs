use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stands between a store and its server, and loses an answer when told to.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    lose: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let lose = Arc::new(AtomicBool::new(false));
        let shared = Arc::downgrade(&lose);
        std::thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                let Some(lose) = shared.upgrade() else { return };
                let Ok(outer) = TcpStream::connect(server) else { continue };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a handle");
                let (from, to) = (clone(&inner), clone(&outer));
                std::thread::spawn(move || pass(from, to, &AtomicBool::new(false)));
                std::thread::spawn(move || pass(outer, inner, &lose));
            }
        });
        Self { address, lose }
    }

    /// Cuts the connection in place of the next thing that the server says.
    pub(super) fn lose_the_next_answer(&self) {
        self.lose.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_lost_it(&self) -> bool {
        !self.lose.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, lose: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if lose.swap(false, Ordering::SeqCst) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Wakes the thread that accepts, which then ends.
        self.lose = Arc::default();
        let _ = TcpStream::connect(self.address);
    }
}
