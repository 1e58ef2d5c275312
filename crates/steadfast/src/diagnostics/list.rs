//! All that can be shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use parking_lot::RwLock;
use serde_json::{Value, json};
use steadfast_guard::stack::Stack;
use steadfast_guard::{Registry, Scope, Workers, pool_health};

use super::guards::{BREAKERS, Tasks, breaker};
use super::routes::routes;
use super::{Diagnose, Token};

/// How many of a kind are shown.
const SHOWN_MAX: usize = 256;

/// What a program shows of itself; see the [module](crate::diagnostics). Clones share it.
#[derive(Clone)]
pub struct Diagnostics {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) token: Token,
    shown: RwLock<Vec<Arc<dyn Diagnose>>>,
    breakers: RwLock<Vec<Registry>>,
}

impl Diagnostics {
    /// Creates an empty list for those who show `token`.
    pub fn new(token: Token) -> Self {
        Self { shared: Arc::new(Shared { token, shown: RwLock::default(), breakers: RwLock::default() }) }
    }

    /// Adds something to show. It stays there as long as the program runs; a handle that keeps tasks or connections alive
    /// is to be added by something weaker, such as its probe.
    pub fn register(&self, shown: impl Diagnose) {
        self.shared.shown.write().push(Arc::new(shown));
    }

    /// Adds all breakers of a registry, those too that are made later.
    pub fn register_breakers(&self, breakers: Registry) {
        self.shared.breakers.write().push(breakers);
    }

    /// Adds a scope with its oldest tasks. It is not kept alive.
    pub fn register_scope(&self, scope: &Scope) {
        self.register(Tasks { scope: scope.probe(), tasks: scope.probe_tasks() });
    }

    /// Adds a pool of workers. It is not kept alive.
    pub fn register_workers(&self, workers: &Workers) {
        self.register(workers.probe());
    }

    /// Adds the guards of a stack that have something to show: its bulkhead, its load shedding and its hedging. Its breaker
    /// is shown with the registry that lists it.
    pub fn register_stack<T, C>(&self, stack: &Stack<T, C>) {
        if let Some(bulkhead) = stack.bulkhead() {
            self.register(bulkhead.clone());
        }
        if let Some(shed) = stack.shed() {
            self.register(shed.clone());
        }
        if let Some(hedge) = stack.hedge() {
            self.register(hedge.clone());
        }
    }

    /// Adds a supervised pool of connections, by its probe, which keeps the pool.
    pub fn register_pool(&self, pool: pool_health::Probe) {
        self.register(pool);
    }

    /// Adds a rate limit that processes share by Redis. It is not kept alive.
    #[cfg(feature = "redis-limit")]
    pub fn register_redis_limiter(&self, limiter: &steadfast_backends::redis::limiter::RedisLimiter) {
        self.register(limiter.probe());
    }

    /// Adds the topics of a bus. It is not kept alive.
    #[cfg(feature = "core")]
    pub fn register_bus(&self, name: impl Into<Box<str>>, bus: &Arc<steadfast_core::bus::Bus>) {
        self.register(super::bus::Topics { name: name.into(), bus: Arc::downgrade(bus) });
    }

    /// Returns the routes, to be merged into the router of an address that only operators reach.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        routes(self.clone())
    }

    /// Returns how many there are of each kind.
    pub(super) fn kinds(&self) -> Value {
        let mut kinds = BTreeMap::<&str, usize>::new();
        for shown in &*self.shared.shown.read() {
            *kinds.entry(shown.kind()).or_default() += 1;
        }
        let breakers = self.breakers().len();
        if breakers > 0 {
            *kinds.entry(BREAKERS).or_default() += breakers;
        }
        json!({"kinds": kinds, "others": ["runtime", "profile"]})
    }

    /// Returns all of a kind, or `None` if there is none.
    pub(super) fn list(&self, kind: &str) -> Option<Value> {
        // Not under the lock: a snapshot is made by code of others.
        let shown: Vec<_> =
            self.shared.shown.read().iter().filter(|shown| shown.kind() == kind).cloned().collect();
        let mut list: Vec<Value> = shown.iter().map(|shown| named(shown.name(), shown.snapshot())).collect();
        if kind == BREAKERS {
            list.extend(self.breakers());
        }
        let count = list.len();
        list.truncate(SHOWN_MAX);
        (count > 0).then(|| json!({"kind": kind, "count": count, "shown": list}))
    }

    fn breakers(&self) -> Vec<Value> {
        let registries = self.shared.breakers.read().clone();
        registries.iter().flat_map(Registry::list).map(|snapshot| breaker(&snapshot)).collect()
    }
}

/// Puts the name first into a snapshot that does not say it itself.
fn named(name: &str, snapshot: Value) -> Value {
    match snapshot {
        Value::Object(mut fields) => {
            fields.entry("name").or_insert_with(|| name.into());
            Value::Object(fields)
        }
        other => json!({"name": name, "value": other}),
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").field("shown", &self.shared.shown.read().len()).finish_non_exhaustive()
    }
}
