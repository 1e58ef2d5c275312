use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Stands between a driver and its server, and cuts the connections when told to. Threads, so that the runtime under
/// test has only the tasks of the driver.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cut: bool,
    streams: Vec<TcpStream>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { address, state: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        std::thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                let Some(shared) = weak.upgrade() else { return };
                let mut state = shared.state.lock().expect("nobody panics");
                if !state.cut {
                    pass(inner, server, &mut state.streams);
                }
            }
        });
        Self(shared)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Cuts what is connected, and refuses whoever connects.
    pub(crate) fn cut(&self) {
        let mut state = self.0.state.lock().expect("nobody panics");
        state.cut = true;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn restore(&self) {
        self.0.state.lock().expect("nobody panics").cut = false;
    }
}

fn pass(inner: TcpStream, server: SocketAddr, streams: &mut Vec<TcpStream>) {
    let Ok(outer) = TcpStream::connect(server) else { return };
    for (from, to) in [(&inner, &outer), (&outer, &inner)] {
        let _ = from.set_nodelay(true);
        let (mut from, mut to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    streams.extend([inner, outer]);
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Wakes the thread that accepts, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}
