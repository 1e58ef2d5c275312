//! PostgreSQL's streaming replication protocol, as much of it as logical decoding needs
//! (<https://www.postgresql.org/docs/current/protocol-replication.html>): messages and SCRAM are `postgres-protocol`'s,
//! TLS is rustls'.
//!
//! There are clients for it on the registry; those that were looked at bring another library of cryptography for TLS, or
//! libpq.

mod failure;
mod frame;
mod handshake;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub(super) use failure::Failure;
pub(super) use session::Replication;
pub(super) use session::Word;
