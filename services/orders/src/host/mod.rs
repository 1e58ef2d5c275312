//! What the three programs share as processes: arguments, listening, health, metrics, problems, shutdown.

mod address;
mod arguments;
mod gate;
mod grpc;
mod metrics;
mod place;
mod problem;
mod program;
mod rfc3339;
mod serve;
mod start;
mod store;
mod work;

pub use arguments::Common;
pub use gate::Gate;
pub use gate::Ready;
pub use gate::probes;
pub use grpc::Health;
pub use grpc::route as grpc_route;
pub use metrics::HttpMetrics;
pub use place::NotAPlace;
pub use place::Place;
pub use problem::not_ready;
pub use problem::overloaded;
pub use problem::problem;
pub use program::Program;
pub use rfc3339::rfc3339;
pub use serve::Listener;
pub use start::main;
pub use store::Level;
pub use store::Opened;
pub use work::InvalidKey;
pub use work::Key;
pub use work::Overloaded;
pub use work::Work;
pub use work::store_status;
