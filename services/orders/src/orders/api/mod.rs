//! The HTTP interface. Errors are problem documents (RFC 9457), commands are idempotent by `Idempotency-Key`.
//!
//! `POST /orders` creates, `POST /orders/{id}/confirm|ship|return|cancel` moves on, `GET /orders/{id}` shows,
//! `GET /orders/{id}/events` and `GET /events` read the log, `GET /totals` sums up,
//! `GET /stock/{sku}` asks inventory what is free. A key is remembered for as long
//! as the log lives; a client repeats a request that got no answer, 502, 503 or 504 with the same key.

#![allow(clippy::result_large_err, reason = "a problem ends its request, and is moved once")]

mod command;
mod input;
mod problem;
mod read;
mod router;
mod stock;

pub use router::Api;
pub use router::router;
