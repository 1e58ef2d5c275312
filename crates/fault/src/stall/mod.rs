//! Holding all workers of a tokio runtime at the same time.
//!
//! One task per worker is spawned; each blocks the thread that polls it. A thread that blocks takes no second
//! task, so as many arrivals as there are workers means that each of them is held. Tasks that land in the queue of
//! a held worker are stolen by the others, or replaced by further ones when the others are too busy to steal. Whatever
//! goes wrong, a worker is held no longer than twice the length of a stall and never beyond the lease.

mod driver;
mod rendezvous;

pub(crate) use self::driver::drive;
pub(crate) use self::rendezvous::Rendezvous;
