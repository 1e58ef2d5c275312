//! gRPC by [`tonic`]: several channels to a server, which are checked by `grpc.health.v1.Health/Check`.
//!
//! A [`Channel`](::tonic::transport::Channel) is one HTTP/2 connection that many calls share, and that is made again
//! when it breaks. What it does not see is a connection that has gone silent: calls on it wait until their own
//! deadlines. [`Channels`] holds several and gives them out in turn; a supervisor
//! ([`steadfast_guard::pool_health`]) checks them, and replaces one that is silent by a new one. Calls under way on the
//! old one end as they may.
//!
//! # Examples
//! ```no_run
//! use steadfast_backends::grpc::Channels;
//! use steadfast_base::Seed;
//! use steadfast_guard::pool_health::{PoolHealth, PoolHealthPolicy};
//! use steadfast_guard::scope::{Scope, ScopePolicy};
//! use tonic::transport::Endpoint;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scope = Scope::new("shop", ScopePolicy::default());
//! let endpoint = Endpoint::from_static("http://inventory:50051");
//! let channels = Channels::new(endpoint, 4, "shop.Inventory");
//! let health =
//!     PoolHealth::new("inventory", channels.clone(), PoolHealthPolicy::default(), Seed::random());
//! drop(scope.spawn_until_closed("pool health", health.run())?);
//!
//! let channel = channels.get(); // for a client that tonic has generated
//! # drop(channel);
//! # Ok(())
//! # }
//! ```

mod channels;
mod pool_health;

pub use channels::Channels;
pub use pool_health::CheckError;
pub use pool_health::Checked;
