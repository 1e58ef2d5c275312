//! Changes of PostgreSQL as events, on a real server.

mod with_postgres {
    mod changes;
    mod conformance;
    mod kill;
    mod outbox;
    mod outbox_conformance;
    mod proxy;
    mod refusals;
    mod support;
    mod tls;
}
