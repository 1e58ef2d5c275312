//! Changes of PostgreSQL as events, on a real server.

mod with_postgres {
    mod changes;
    mod conformance;
    mod kill;
    mod proxy;
    mod refusals;
    mod support;
    mod tls;
}
