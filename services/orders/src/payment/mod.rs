//! Takes money for orders: gRPC `payment.v1`, idempotent by key, event-sourced.

mod domain;
mod grpc;
mod run;

pub use domain::Charge;
pub use domain::Command;
pub use domain::Event;
pub use domain::Refused;
pub use grpc::Ledger;
pub use grpc::Service;
pub use run::Arguments;
pub use run::run;
