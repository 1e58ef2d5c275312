//! HTTP over real sockets on loopback.

mod bad_input;
mod close;
mod conformance;
mod limits;
mod modes;
mod sink;
mod support;
mod webhooks;
