//! Connections that wait for their next request, by host.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::uri::{PathAndQuery, Uri};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::compile::{Scenario, Scope};
use crate::connection::Connection;
use crate::{Captured, Targets};

/// Most hosts that are remembered with their idle connections.
const HOSTS_MAX: usize = 64;

/// A server and the connections to it that are not in use.
pub(crate) struct Host {
    /// Where to connect: with a port.
    pub(crate) address: String,
    /// The value of the header `Host`.
    pub(crate) header: HeaderValue,
    authority: String,
    #[allow(clippy::vec_box, reason = "a connection is large and moves at each request")]
    idle: Mutex<Vec<Box<Connection>>>,
}

/// Where a request goes.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) host: Arc<Host>,
    /// Path and query.
    pub(crate) uri: Uri,
}

/// The hosts and the addresses as the targets stood at one version. With another version comes another value, and
/// connections to hosts of old go when they are no longer used.
pub(crate) struct Routes {
    pub(crate) version: u64,
    pub(crate) targets: Vec<Option<Arc<str>>>,
    hosts: Mutex<Vec<Arc<Host>>>,
    /// The address of each step, where it is the same for every command.
    fixed: Vec<Option<Address>>,
}

impl Host {
    /// Returns the connection that was used last and is still good.
    pub(crate) async fn take(&self) -> Option<Box<Connection>> {
        loop {
            // Taken in a statement of its own, so that the lock is not held while the connection is looked at.
            let taken = self.idle.lock().pop();
            let mut connection = taken?;
            if connection.is_reusable().await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, if it can serve one.
    pub(crate) async fn give_back(&self, mut connection: Box<Connection>) {
        if connection.is_reusable().await {
            self.idle.lock().push(connection);
        }
    }
}

impl Routes {
    pub(crate) fn new(scenario: &Scenario, targets: &Targets) -> Self {
        let mut routes = Self {
            version: targets.version(),
            targets: scenario.targets.iter().map(|name| targets.get(name)).collect(),
            hosts: Mutex::default(),
            fixed: Vec::new(),
        };
        let fixed = scenario.steps.iter().map(|step| {
            let captured = Captured::default();
            let scope = Scope { id: Uuid::nil(), sequence: 0, captured: &captured, targets: &routes.targets };
            step.url.is_fixed().then(|| routes.parse(&step.url.render_url(scope)?)).flatten()
        });
        routes.fixed = fixed.collect();
        routes
    }

    /// Returns where a command of step `step` goes; none where a target is missing or the address is no address.
    pub(crate) fn address(&self, scenario: &Scenario, step: usize, scope: Scope<'_>) -> Option<Address> {
        self.fixed[step].clone().or_else(|| self.parse(&scenario.steps[step].url.render_url(scope)?))
    }

    fn parse(&self, url: &Bytes) -> Option<Address> {
        let text = std::str::from_utf8(url).ok()?;
        let rest = text.strip_prefix("http://")?;
        let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = self.host(&rest[..length])?;
        let path = match &rest[length..] {
            "" => PathAndQuery::from_static("/"),
            path if path.starts_with('/') => {
                PathAndQuery::from_maybe_shared(url.slice_ref(path.as_bytes())).ok()?
            }
            query => PathAndQuery::try_from(format!("/{query}")).ok()?,
        };
        Some(Address { host, uri: Uri::from(path) })
    }

    fn host(&self, authority: &str) -> Option<Arc<Host>> {
        let mut hosts = self.hosts.lock();
        if let Some(host) = hosts.iter().find(|host| host.authority == authority) {
            return Some(host.clone());
        }
        if authority.is_empty() || authority.contains('@') {
            return None;
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = Arc::new(Host {
            address: if has_port { authority.to_owned() } else { format!("{authority}:80") },
            header: HeaderValue::try_from(authority).ok()?,
            authority: authority.to_owned(),
            idle: Mutex::default(),
        });
        // Hosts come from targets, a handful; only a captured value in the place of a host can bring more.
        if hosts.len() >= HOSTS_MAX {
            hosts.clear();
        }
        hosts.push(host.clone());
        Some(host)
    }
}
