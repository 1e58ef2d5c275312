//! A port that is kept while its server is down.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A loopback port that nobody else is given.
///
/// A port that was merely free a moment ago is given to the next one who asks, also while the server that it is for is
/// being started again; two servers are then taken for each other. So a socket stays bound to it that listens to
/// nothing. The server can bind to it all the same, for both set `SO_REUSEADDR` and only one listens; who asks the
/// kernel for any free port does not get this one.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _kept: OwnedFd,
}

impl Port {
    pub(crate) fn reserve() -> io::Result<Self> {
        let kept = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&kept, true)?;
        bind(&kept, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = SocketAddr::try_from(getsockname(&kept)?)?;
        Ok(Self { address, _kept: kept })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_its_owners_alone_also_while_nobody_listens() {
        let ports: Vec<_> = (0..500).map(|_| Port::reserve().expect("a port is free")).collect();
        let kept: HashSet<_> = ports.iter().map(Port::address).collect();
        assert_eq!(kept.len(), ports.len());
        // Those of others, who ask for any port as servers in tests do.
        let others: Vec<_> =
            (0..2000).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free")).collect();
        for other in &others {
            let address = other.local_addr().expect("bound");
            assert!(!kept.contains(&address), "{address} was kept");
        }
        // The server that it is for, once and again.
        for _ in 0..2 {
            drop(TcpListener::bind(ports[0].address()).expect("its server can listen"));
        }
    }
}
