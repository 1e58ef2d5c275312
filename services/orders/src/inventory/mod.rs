//! Sets stock aside for orders: gRPC `inventory.v1`, idempotent by key, event-sourced.

mod domain;
mod grpc;
mod levels;
mod log;
mod run;
mod store;

pub use domain::Command;
pub use domain::Event;
pub use domain::Lines;
pub use domain::Refused;
pub use domain::Reservation;
pub use grpc::Service;
pub use levels::Levels;
pub use log::Reservations;
pub use log::levels;
pub use log::reservations;
pub use run::Arguments;
pub use run::run;
pub use store::Store;
