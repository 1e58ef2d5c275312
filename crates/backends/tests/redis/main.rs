//! Redis Streams on a real server.

#[path = "../broker/mod.rs"]
mod broker;
#[allow(dead_code, reason = "the example's own `main` is not called")]
#[path = "../../examples/redis.rs"]
mod example;
#[path = "../broker/tls.rs"]
mod tls;

mod with_redis {
    mod conformance;
    mod examples;
    mod kill;
    #[cfg(feature = "redis-limit")]
    mod limiter;
    #[cfg(feature = "redis-pool")]
    mod pool_health;
    mod settings;
    pub(crate) mod store;
    pub(crate) mod support;
    pub(crate) mod torn;
    mod trouble;
}

/// What Redis does since 8.0: it syncs when it is asked.
mod with_redis8 {
    mod store;
    mod transport;
}

#[cfg(target_os = "linux")]
#[path = "../power/mod.rs"]
mod power;

#[path = "../server_killed/mod.rs"]
mod server_killed;

#[cfg(any(feature = "redis-limit", feature = "redis-pool"))]
#[path = "../disturber/mod.rs"]
mod disturber;

#[cfg(feature = "redis-pool")]
#[path = "../supervised/mod.rs"]
mod supervised;
