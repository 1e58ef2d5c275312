//! An open-model load generator: arrivals come when the schedule says, whatever the server makes of them.
//!
//! A closed-model generator has a number of users who wait for their answers; when the server stalls, they stop
//! asking, and the stall is seen by as many requests as there are users instead of by all that would have come
//! ("coordinated omission"). Here arrivals never wait for answers, and every latency counts from the moment at
//! which the request *should* have started. A stall of a second at 200 arrivals per second is seen by 200 commands,
//! and a generator that falls behind makes latencies longer, never shorter. How well it kept its own schedule is
//! told apart from how the server answered: see [`Summary`].
//!
//! [`run`] drives a [`Plan`] and tells a [`Recorder`] of each [`Command`]: one step of one arrival, with all its
//! attempts, under one idempotency key.
//!
//! # What it is not
//! It speaks HTTP/1.1 over TCP, without TLS, HTTP/2, redirects and cookies.

mod alarm;
mod arrival;
mod compile;
mod connection;
mod error;
mod path;
mod plan;
mod pool;
mod record;
mod result;
mod retry;
mod run;
mod runner;
mod schedule;
mod state;
mod status;
mod summary;
mod tally;
mod targets;
mod template;
mod worker;

pub use error::Error;
pub use path::Path;
pub use path::PathError;
pub use plan::Capture;
pub use plan::Plan;
pub use plan::Step;
pub use record::Arrival;
pub use record::Captured;
pub use record::Command;
pub use record::Recorder;
pub use result::CommandResult;
pub use retry::RetryOn;
pub use retry::RetryOnError;
pub use retry::RetryPolicy;
pub use run::run;
pub use run::run_blocking;
pub use schedule::Schedule;
pub use schedule::Spacing;
pub use schedule::Stage;
pub use status::StatusSet;
pub use status::StatusSetError;
pub use summary::ON_SCHEDULE_TOLERANCE;
pub use summary::SHORTFALL_MAX;
pub use summary::Summary;
pub use tally::StepTally;
pub use tally::Tally;
pub use targets::Targets;
pub use template::Template;
pub use template::TemplateError;
pub use tokio_util::sync::CancellationToken;
