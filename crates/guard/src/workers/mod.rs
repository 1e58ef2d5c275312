//! Workers: a pool that counts memory and not only jobs.
//!
//! A pool of a fixed size is sized for the average job, and a few big ones at a time kill the process. Here the
//! operator gives a *quota* for the resident set of the process. A job says how much memory it needs ([`Job::needs`]),
//! or the pool learns it by the job's name. A job is admitted when what the process has without jobs, what the
//! admitted ones have reserved, and what it needs itself fit into the quota.
//!
//! Declarations can be wrong, and the rest of the process grows too. So the resident set and the limit of the cgroup
//! are sampled ([`Memory`]), and the *concurrency* follows: it shrinks before the quota is reached, halves on memory
//! pressure, and grows back while there is room. A sample is taken at admissions and at ends of jobs, at once on
//! memory pressure, and otherwise the sooner the faster memory grows, at the latest after
//! [`sample_every`](WorkersPolicy::sample_every).
//!
//! - *CPU-bound jobs* run on threads of the pool ([`Workers::submit`]); they are started as they are needed. An async
//!   job takes a [`Grant`] ([`Workers::admit`]) and runs where it is.
//! - The *queue* has a bound; what does not fit is refused at once.
//! - *Priorities* do not starve: a job of a lower priority goes first once it has waited long enough, and a big one
//!   that does not fit yet is passed by smaller ones only so often.
//! - *[Draining](Workers::drain)* takes nothing new, runs what is queued, and names what is left when its time is up.
//!   A job that was not started is told so; none is lost without a word.
//!
//! One job always runs, also where the estimate of its need says that it does not fit, so that the pool never stands
//! still; only a cgroup without room for it holds it back.

mod counts;
mod error;
mod grant;
mod handle;
mod job;
mod learn;
mod limit;
pub mod memory;
mod policy;
mod pool;
mod queue;
mod sampler;
mod snapshot;
mod submitted;
#[cfg(test)]
mod tests;
mod threads;

pub use error::JobError;
pub use error::Refused;
pub use grant::Grant;
pub use handle::Drained;
pub use handle::Workers;
pub use job::Job;
pub use job::Priority;
pub use memory::Memory;
pub use policy::WorkersPolicy;
pub use snapshot::Snapshot;
pub use submitted::Submitted;
