//! Metrics in the text format of OpenMetrics.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use parking_lot::RwLock;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

#[cfg(feature = "core")]
use super::text::Listed;
#[cfg(feature = "guard")]
use super::text::Probes;

/// The metrics of a process. Clones share the registry.
///
/// # Examples
/// ```
/// use prometheus_client::metrics::counter::Counter;
/// use steadfast::telemetry::Metrics;
///
/// let metrics = Metrics::new("orders");
/// let created = Counter::<u64>::default();
/// metrics.register(|registry| registry.register("created", "Orders created", created.clone()));
/// created.inc();
/// assert!(metrics.encode().contains("orders_created_total 1"));
/// ```
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Arc<RwLock<Registry>>,
    #[cfg(feature = "core")]
    projections: Listed<steadfast_core::projection::Probe>,
    #[cfg(feature = "core")]
    repositories: Listed<steadfast_core::repository::Probe>,
    #[cfg(feature = "core")]
    machines: Listed<steadfast_core::machine::Probe>,
    #[cfg(feature = "guard")]
    guards: super::guards::Guards,
    #[cfg(feature = "guard")]
    scopes: Probes<steadfast_guard::scope::Snapshot>,
    #[cfg(feature = "guard")]
    pools: Probes<steadfast_guard::workers::Snapshot>,
    #[cfg(feature = "guard")]
    connections: Probes<steadfast_guard::pool_health::Snapshot>,
    #[cfg(feature = "redis-limit")]
    shared_limits: Probes<steadfast_backends::redis::limiter::Snapshot>,
}

impl Metrics {
    /// Creates an empty registry; `prefix` and an underscore stand before each name.
    pub fn new(prefix: &str) -> Self {
        let metrics = Self::default();
        *metrics.registry.write() = Registry::with_prefix(prefix);
        metrics
    }

    /// Registers metrics: `register` is handed the registry, and what it returns is returned.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.write())
    }

    /// Registers what a projection has done and how far it is behind: `projection_lag_seconds` (the age of the oldest event
    /// that is not in the view, 0 if there is none), `projection_caught_up` (1 or 0) and
    /// `projection_lag_sample_age_seconds` (how long ago both were looked at), none of them before the first look;
    /// `projection_events_total` by outcome (`applied`, `skipped`), `projection_batches_total`,
    /// `projection_failures_total`, `projection_switches_total` and `projection_rewinds_total`. Nothing is asked of the
    /// store for it.
    #[cfg(feature = "core")]
    pub fn register_projection(&self, projection: steadfast_core::projection::Probe) {
        if self.projections.add(projection) {
            self.registry.write().register_collector(Box::new(self.projections.clone()));
        }
    }

    /// Registers what a repository of aggregates has done: `repository_commands_total` by outcome (`executed`, `repeated`,
    /// `refused`), `repository_conflicts_total`, `repository_loads_total`, `repository_replayed_events_total`,
    /// `repository_snapshots_total` by outcome (`taken`, `failed`, `dropped`), `repository_cached` and
    /// `repository_cached_bytes`.
    #[cfg(feature = "core")]
    pub fn register_repository(&self, repository: steadfast_core::repository::Probe) {
        if self.repositories.add(repository) {
            self.registry.write().register_collector(Box::new(self.repositories.clone()));
        }
    }

    /// Registers what was asked of state machines: `machine_commands_total` by state, command and outcome (`allowed`,
    /// `refused`), of those pairs that were asked for.
    #[cfg(feature = "core")]
    pub fn register_machine(&self, machine: steadfast_core::machine::Probe) {
        if self.machines.add(machine) {
            self.registry.write().register_collector(Box::new(self.machines.clone()));
        }
    }

    /// Registers what the breakers of `breakers` have seen, of those too that are added later: `breaker_open`
    /// (0 closed, 0.5 half-open, 1 open), `breaker_calls_total` by outcome, `breaker_slow_calls_total`,
    /// `breaker_in_flight` and `breaker_opened_total`.
    #[cfg(feature = "guard")]
    pub fn register_breakers(&self, breakers: steadfast_guard::Registry) {
        let collector = super::breakers::Collector::new(breakers);
        self.registry.write().register_collector(Box::new(collector));
    }

    /// Registers what a bulkhead has seen: `bulkhead_limit`, `bulkhead_in_flight`, `bulkhead_queued` and
    /// `bulkhead_calls_total` by outcome.
    #[cfg(feature = "guard")]
    pub fn register_bulkhead(&self, bulkhead: &steadfast_guard::Bulkhead) {
        self.register_guard(|guards| guards.bulkheads.push(bulkhead.clone()));
    }

    /// Registers what load shedding has seen: `shed_limit`, `shed_baseline_seconds`, `shed_in_flight`, `shed_queued`,
    /// `shed_calls_total` by outcome, and `shed_refused_calls_total` by priority.
    #[cfg(feature = "guard")]
    pub fn register_shed(&self, shed: &steadfast_guard::Shed) {
        self.register_guard(|guards| guards.sheds.push(shed.clone()));
    }

    /// Registers what hedging has done: `hedge_delay_seconds`, `hedge_calls_total`, and `hedge_attempts_total` by
    /// outcome.
    #[cfg(feature = "guard")]
    pub fn register_hedge(&self, hedge: &steadfast_guard::Hedge) {
        self.register_guard(|guards| guards.hedges.push(hedge.clone()));
    }

    /// Registers what is left of a rate limiter's quota: `rate_limit_available`, beside `rate_limit_burst` and
    /// `rate_limit_permits_per_second`.
    #[cfg(feature = "guard")]
    pub fn register_rate_limiter(&self, name: impl Into<Box<str>>, limiter: &steadfast_guard::RateLimiter) {
        self.register_guard(|guards| guards.limiters.push((name.into(), limiter.clone())));
    }

    /// Registers how many keys a rate limiter remembers that has a quota for each: `rate_limit_keys`, beside
    /// `rate_limit_keys_max`, and `rate_limit_keyed_calls_total` of keys that shared a quota for want of a place.
    #[cfg(feature = "guard")]
    pub fn register_keyed_rate_limiter(
        &self,
        name: impl Into<Box<str>>,
        limiter: &steadfast_guard::KeyedRateLimiter,
    ) {
        self.register_guard(|guards| guards.keyed_limiters.push((name.into(), limiter.clone())));
    }

    /// Registers the guards of a stack that have something to show: its bulkhead, its load shedding, its hedging and its
    /// rate limiters, under the stack's name. Its breaker is shown with the registry that lists it.
    #[cfg(feature = "guard")]
    pub fn register_stack<T, C>(&self, stack: &steadfast_guard::stack::Stack<T, C>) {
        if let Some(bulkhead) = stack.bulkhead() {
            self.register_bulkhead(bulkhead);
        }
        if let Some(shed) = stack.shed() {
            self.register_shed(shed);
        }
        if let Some(hedge) = stack.hedge() {
            self.register_hedge(hedge);
        }
        if let Some(limiter) = stack.rate_limiter() {
            self.register_rate_limiter(stack.name(), limiter);
        }
        if let Some(limiter) = stack.keyed_rate_limiter() {
            self.register_keyed_rate_limiter(stack.name(), limiter);
        }
    }

    /// Registers what a supervised pool of connections looks like: `pool_connections` by state, `pool_pending_requests`,
    /// `pool_health`, `pool_wait_time_seconds_total`, `pool_waits_total`, `pool_checks_total` by outcome,
    /// `pool_stale_connections_total` by what was done with them, and `pool_check_rounds_total`.
    #[cfg(feature = "guard")]
    pub fn register_pool(&self, pool: steadfast_guard::pool_health::Probe) {
        if self.connections.add(pool) {
            self.registry.write().register_collector(Box::new(self.connections.clone()));
        }
    }

    /// Registers what a rate limit that processes share by Redis has done: `shared_rate_limit_by_redis` (1, or 0 while the
    /// local share decides), `shared_rate_limit_calls_total` by outcome, `shared_rate_limit_decisions_total` by who decided,
    /// `shared_rate_limit_round_trips_total` by outcome, `shared_rate_limit_round_trip_time_seconds_total`,
    /// `shared_rate_limit_leases_total`, `shared_rate_limit_leased_permits_total` by what was done with them, and
    /// `shared_rate_limit_changes_total`. The limiter is not kept alive.
    #[cfg(feature = "redis-limit")]
    pub fn register_redis_limiter(&self, limiter: &steadfast_backends::redis::limiter::RedisLimiter) {
        if self.shared_limits.add(limiter.probe()) {
            self.registry.write().register_collector(Box::new(self.shared_limits.clone()));
        }
    }

    #[cfg(feature = "guard")]
    fn register_guard(&self, add: impl FnOnce(&mut super::guards::Listed)) {
        if self.guards.add(add) {
            self.registry.write().register_collector(Box::new(self.guards.clone()));
        }
    }

    /// Registers what a scope has done: `tasks_alive`, `tasks_total` by outcome, `task_panics_total` by task, and what
    /// looks like a leak, `tasks_old` and `tasks_growing`. Each scope is to be registered once, under a name of its own.
    #[cfg(feature = "guard")]
    pub fn register_scope(&self, scope: &steadfast_guard::Scope) {
        if self.scopes.add(scope.probe()) {
            self.registry.write().register_collector(Box::new(self.scopes.clone()));
        }
    }

    /// Registers what a pool of workers is doing: `workers_resident_bytes` beside `workers_quota_bytes`,
    /// `workers_running`, `workers_queued`, `workers_concurrency`, `workers_jobs_total` by outcome, and more.
    #[cfg(feature = "guard")]
    pub fn register_workers(&self, workers: &steadfast_guard::Workers) {
        if self.pools.add(workers.probe()) {
            self.registry.write().register_collector(Box::new(self.pools.clone()));
        }
    }

    /// Returns all metrics in the text format of OpenMetrics 1.0.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry.read()).expect("a string takes any text");
        text
    }

    /// Returns the route `GET /metrics`, to be merged into a service's router.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let metrics = self.clone();
        Router::new().route("/metrics", get(move || std::future::ready(metrics.response())))
    }

    fn response(&self) -> impl IntoResponse + use<> {
        const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ([(header::CONTENT_TYPE, TEXT)], self.encode())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use http_body_util::BodyExt;
    use prometheus_client::metrics::gauge::Gauge;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn the_route_answers_in_openmetrics() {
        let metrics = Metrics::new("orders");
        let gauge = Gauge::<i64>::default();
        metrics.register(|registry| registry.register("queue", "Orders waiting", gauge.clone()));
        gauge.set(3);
        let request = Request::builder().uri("/metrics").body(Body::empty()).expect("a request");
        let Ok(response) = metrics.router::<()>().oneshot(request).await;
        assert_eq!(
            response.headers()["content-type"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let text = std::str::from_utf8(&body).expect("text");
        let expected =
            "# HELP orders_queue Orders waiting.\n# TYPE orders_queue gauge\norders_queue 3\n# EOF\n";
        assert_eq!(text, expected);
    }

    #[tokio::test]
    async fn the_route_takes_nothing_but_get() {
        let request = Request::builder().method(Method::POST).uri("/metrics").body(Body::empty());
        let Ok(response) = Metrics::default().router::<()>().oneshot(request.expect("a request")).await;
        assert_eq!(response.status().as_u16(), 405);
    }
}
