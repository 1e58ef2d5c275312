//! Takes orders over HTTP and confirms them with the help of `inventory` and `payment`.
//!
//! Code map: [`domain`] decides, [`edge`] translates, [`command`] carries commands out one at a time per order,
//! [`process`] confirms orders across the three programs, [`stock`] asks inventory what is free, [`notices`] tells
//! customers of shipments, [`view`] answers questions, [`api`] speaks HTTP.

pub mod api;
pub mod command;
mod defects;
pub mod domain;
pub mod edge;
mod guards;
pub mod log;
mod metrics;
pub mod notices;
pub mod process;
mod run;
pub mod stock;
pub mod view;

pub use defects::Defects;
pub use guards::Guards;
pub use run::Arguments;
pub use run::run;
