//! Sets stock aside for orders: gRPC `inventory.v1`, idempotent by key, event-sourced.

mod domain;
mod grpc;
mod levels;
mod run;

pub use domain::Command;
pub use domain::Event;
pub use domain::Lines;
pub use domain::Refused;
pub use domain::Reservation;
pub use grpc::Service;
pub use grpc::Store;
pub use levels::Levels;
pub use run::Arguments;
pub use run::run;
