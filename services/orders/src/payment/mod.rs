//! Takes money for orders: gRPC `payment.v1`, idempotent by key, event-sourced.

mod domain;
mod grpc;
mod log;
mod run;

pub use domain::Charge;
pub use domain::Command;
pub use domain::Event;
pub use domain::Refused;
pub use grpc::Ledger;
pub use grpc::Service;
pub use log::Charged;
pub use log::Charges;
pub use log::charges;
pub use run::Arguments;
pub use run::run;
