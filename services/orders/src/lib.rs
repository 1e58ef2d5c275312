//! The reference backend of Steadfast: three event-sourced programs that show how its libraries are used.
//!
//! [`orders`] takes orders over HTTP and confirms them; [`payment`] and [`inventory`] are what it needs for that,
//! over gRPC. Each keeps its state as events in a file log of its own and answers once they are durable.

pub mod host;
pub mod inventory;
pub mod ledger;
pub mod orders;
pub mod payment;
pub mod proto;
