use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use steadfast_base::Seed;
use tokio::runtime::Handle;

use crate::control::Endpoint;
use crate::lease::Registry;
use crate::{Error, Fault, FaultLayer, Lease, LeaseError, LeaseId, stall};

/// The environment variable that names the control socket, `STEADFAST_FAULT_SOCKET`.
pub const SOCKET_ENV: &str = "STEADFAST_FAULT_SOCKET";

/// Holds the leases of a process and serves its control endpoint.
///
/// Keep it as long as the service runs: dropping it ends all leases, joins its threads and removes the socket.
#[derive(Debug)]
#[must_use = "dropping the injector ends its faults and removes its control socket"]
pub struct Injector {
    // First, so that no request arrives while the rest is dropped.
    endpoint: Option<Endpoint>,
    leases: Arc<Leases>,
}

/// What the endpoint's threads and the injector share.
#[derive(Debug)]
pub(crate) struct Leases {
    registry: Arc<Registry>,
    runtime: Option<Handle>,
    drivers: Mutex<Vec<JoinHandle<()>>>,
}

impl Injector {
    /// Starts the injector if the environment variable `STEADFAST_FAULT_SOCKET` holds the path of a control
    /// socket; without it there is no injector, no thread and no socket.
    ///
    /// The runtime that it is called in is the one that faults of the kind `runtime` stall.
    ///
    /// # Errors
    /// As for [`listen`](Self::listen).
    pub fn from_env() -> Result<Option<Self>, Error> {
        let path = std::env::var_os(SOCKET_ENV).filter(|path| !path.is_empty());
        path.map(|path| Self::listen(path.as_ref())).transpose()
    }

    /// Starts the injector with a control socket at `path`, of mode 0600, in place of one that a dead process
    /// left there.
    ///
    /// # Errors
    /// [`Error`] outside a tokio runtime, or when the socket cannot be made.
    pub fn listen(path: &Path) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let leases = Arc::new(Leases::new(Some(runtime)));
        let endpoint = Some(Endpoint::start(path, leases.clone())?);
        Ok(Self { endpoint, leases })
    }

    /// Creates an injector without a control endpoint, for tests. It stalls the runtime that it is created in,
    /// and refuses to stall if there is none.
    pub fn detached() -> Self {
        Self { endpoint: None, leases: Arc::new(Leases::new(Handle::try_current().ok())) }
    }

    /// Returns a layer whose services are subject to the leases of this injector.
    pub fn layer(&self) -> FaultLayer {
        FaultLayer::new(self.leases.registry.clone())
    }

    /// Injects `fault` until `ttl` from now, unless it is renewed. The share of calls and their jitter are drawn
    /// from `seed`; without one, from the id. Repeating it renews the lease.
    ///
    /// # Errors
    /// [`LeaseError`] for a wrong fault or time to live, an id that is taken or has ended, a second stall of the
    /// runtime, or too many leases.
    pub fn inject(
        &self,
        id: &LeaseId,
        fault: Fault,
        ttl: Duration,
        seed: Option<Seed>,
    ) -> Result<Lease, LeaseError> {
        self.leases.inject(id, fault, ttl, seed)
    }

    /// Lets a lease end `ttl` from now.
    ///
    /// # Errors
    /// [`LeaseError`] when it has ended or was never given, or for a wrong time to live.
    pub fn renew(&self, id: &LeaseId, ttl: Duration) -> Result<Lease, LeaseError> {
        self.leases.renew(id, ttl)
    }

    /// Ends a lease and returns what it did; of one that has ended before, what it ended with.
    ///
    /// # Errors
    /// [`LeaseError::Unknown`] when it was never given.
    pub fn revoke(&self, id: &LeaseId) -> Result<Lease, LeaseError> {
        self.leases.revoke(id)
    }

    /// Returns the last 256 ended leases, oldest first, then the active ones.
    pub fn leases(&self) -> Vec<Lease> {
        self.leases.list()
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        drop(self.endpoint.take());
        self.leases.close();
    }
}

impl Leases {
    fn new(runtime: Option<Handle>) -> Self {
        Self { registry: Arc::default(), runtime, drivers: Mutex::default() }
    }

    pub(crate) fn inject(
        &self,
        id: &LeaseId,
        fault: Fault,
        ttl: Duration,
        seed: Option<Seed>,
    ) -> Result<Lease, LeaseError> {
        if matches!(fault, Fault::Runtime(_)) && self.runtime.is_none() {
            return Err(LeaseError::Unsupported);
        }
        let (lease, given) = self.registry.inject(Instant::now(), id, fault, ttl, seed)?;
        if let (Some(active), Some(runtime)) = (given, &self.runtime)
            && let Fault::Runtime(fault) = active.fault.clone()
        {
            let runtime = runtime.clone();
            let driver = thread::Builder::new()
                .name("fault-stall".to_owned())
                .spawn(move || stall::drive(&runtime, &active, &fault));
            let Ok(driver) = driver else {
                let _ended = self.registry.revoke(Instant::now(), id);
                return Err(LeaseError::Thread);
            };
            let mut drivers = self.drivers.lock();
            drivers.retain(|driver| !driver.is_finished());
            drivers.push(driver);
        }
        Ok(lease)
    }

    pub(crate) fn renew(&self, id: &LeaseId, ttl: Duration) -> Result<Lease, LeaseError> {
        self.registry.renew(Instant::now(), id, ttl)
    }

    pub(crate) fn revoke(&self, id: &LeaseId) -> Result<Lease, LeaseError> {
        self.registry.revoke(Instant::now(), id)
    }

    pub(crate) fn list(&self) -> Vec<Lease> {
        self.registry.list(Instant::now())
    }

    pub(crate) fn sweep(&self) {
        self.registry.sweep(Instant::now());
    }

    pub(crate) fn workers(&self) -> usize {
        self.runtime.as_ref().map_or(0, |runtime| runtime.metrics().num_workers())
    }

    fn close(&self) {
        self.registry.clear(Instant::now());
        for driver in self.drivers.lock().drain(..) {
            // A driver that panicked has nothing left to undo: its lease has ended above.
            let _joined = driver.join();
        }
    }
}
