//! Changes of PostgreSQL as events, on a real server.

mod with_postgres {
    mod changes;
    mod conformance;
    mod kill;
    mod outbox;
    mod outbox_conformance;
    #[cfg(feature = "postgres-pool")]
    mod pool_health;
    mod proxy;
    mod refusals;
    mod silence;
    mod store;
    mod support;
    mod tables;
    mod tls;
    mod view;

    #[test]
    fn the_example_runs_to_its_end() {
        super::example::main().expect("it succeeds");
    }
}

#[path = "../../examples/postgres.rs"]
mod example;

#[path = "../stand_by/mod.rs"]
mod stand_by;

#[cfg(target_os = "linux")]
#[path = "../power/mod.rs"]
mod power;

#[path = "../server_killed/mod.rs"]
mod server_killed;

#[cfg(feature = "postgres-pool")]
#[path = "../disturber/mod.rs"]
mod disturber;

#[cfg(feature = "postgres-pool")]
#[path = "../supervised/mod.rs"]
mod supervised;
