//! The system under test as processes: started, watched, stopped, and never left behind.
//!
//! Three things keep a process from outliving `steadfast`, whatever kills it: the kernel kills each process when the
//! thread that started it dies (`PR_SET_PDEATHSIG`; that is why one thread starts them all and lives as long as the
//! [`System`]); the watchdog kills their descendants, found by session and by a marker in the environment; and the
//! next run does it if the watchdog died too. Signals go to a process by pid *and* start time, never to a pid alone.

mod config;
mod end;
mod ending;
mod error;
mod exit;
mod family;
mod identity;
mod instance;
mod launch;
mod output;
mod process;
mod program;
mod ready;
mod set;
mod signal;
mod spawner;

pub use config::Address;
pub use config::ProcessConfig;
pub use config::Readiness;
pub use config::StopPolicy;
pub use config::SystemConfig;
pub use end::Death;
pub use end::End;
pub use error::Error;
pub use family::MARKER_VARIABLE;
pub use identity::Identity;
pub use process::Process;
pub use process::Scope;
pub use set::System;
pub use signal::Signal;
pub use signal::UnknownSignal;

pub(crate) use family::extinguish;
pub(crate) use family::marked;
pub(crate) use family::of_leader as family_of;
pub(crate) use family::set_stopped;
pub(crate) use identity::boot_id;
pub(crate) use program::find as find_program;
