//! The queues of one topic under one lock: what is published is given to all of them or to none, in one order.
//!
//! One lock for the topic, not one for each queue, makes "all or none" and "one order for all" a matter of course,
//! and costs a publisher one lock however many subscribe. Consumers take it once for a batch.
//!
//! Nothing here knows what a message is, so that the model checker `loom` can run it with numbers; see `model`.

mod ages;
mod consume;
mod lane;
#[cfg(all(test, loom))]
mod model;
mod publish;
mod queue;
mod sleepers;
mod state;
mod sync;
mod tally;

pub(in crate::bus) use consume::{Drawing, Intake};
pub(in crate::bus) use lane::{Laned, Turns};
pub(in crate::bus) use publish::Publishing;
pub(in crate::bus) use queue::{Terms, Wanted};
pub(in crate::bus) use state::{Counts, Hub, Sums};
pub(in crate::bus) use sync::Mutex;
pub(in crate::bus) use tally::{Bell, get};
