//! Process managers: work over several services that ends either done in whole or undone in whole.
//!
//! What to do next is decided purely ([`ProcessManager`], in the spirit of [`Aggregate`](crate::Aggregate)): from
//! what started the process and the steps done so far. Doing a step and undoing it is the [`Port`]'s job. The
//! [`Driver`] stands between them: it
//! - gives each step a key made of process and step, the same in every repetition, so that the callee does it once;
//! - records each outcome in the store before it goes on, so that a process is resumed after a crash by replaying
//!   its stream ([`Driver::resume`]);
//! - repeats a step whose outcome is unknown with the same key until it is known;
//! - undoes the steps done, the newest first, when one is refused. An undo is repeated until it succeeds.
//!
//! A step that stays unknown can be given up ([`Policy::attempts_max`]). It is undone like one that was done, for
//! it may have been done, or may still arrive: hence the contract of [`Port::undo`]. One of which no attempt was sent
//! ([`StepError::NotSent`]), by this driver nor by one that died, is not: an undo would ask the callee that could not
//! be asked.
//!
//! # Examples
//! Stock is reserved, then the customer is charged. A refused charge releases the stock.
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use serde::{Deserialize, Serialize};
//! use steadfast_base::Deadline;
//! use steadfast_core::process::{Call, Done, Driver, Ended, Next, Policy, Port, ProcessManager, StepError};
//! use steadfast_core::store::{Durability, MemoryStore};
//!
//! struct Confirm;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { sku: String, cents: u64 }
//!
//! #[derive(Debug, Clone, Serialize, Deserialize)]
//! enum Step { Reserve, Charge }
//!
//! impl ProcessManager for Confirm {
//!     type Input = Order;
//!     type Step = Step;
//!     type Output = ();
//!
//!     fn name(&self) -> &str {
//!         "confirm"
//!     }
//!
//!     fn react(&self, _: &Order, done: &[Done<Step, ()>]) -> Next<Step> {
//!         match done.len() {
//!             0 => Next::Do(Step::Reserve),
//!             1 => Next::Do(Step::Charge),
//!             _ => Next::Complete,
//!         }
//!     }
//! }
//!
//! struct Services { /* clients of inventory and payment */ }
//!
//! impl Port<Confirm> for Services {
//!     async fn execute(&self, call: Call<Confirm>) -> Result<(), StepError> {
//!         match call.step() {
//!             Step::Reserve => Ok(()), // inventory.reserve(call.key(), &call.input().sku)
//!             Step::Charge if call.input().cents > 1_000 => Err(StepError::refused("declined")),
//!             Step::Charge => Ok(()), // payment.charge(call.key(), call.input().cents)
//!         }
//!     }
//!
//!     async fn undo(&self, call: Call<Confirm>) -> Result<(), StepError> {
//!         match call.step() {
//!             Step::Reserve => Ok(()), // inventory.release(call.key())
//!             Step::Charge => Ok(()),  // payment.refund(call.key())
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::process::Error> {
//! let store = Arc::new(MemoryStore::new());
//! let policy = Policy { durability: Durability::Accepted, ..Policy::default() };
//! let driver = Driver::new(Confirm, Services {}, store, policy);
//! driver.resume().await?; // what a crash has interrupted
//!
//! let mut process = driver.start("order-1", Order { sku: "A".to_owned(), cents: 2_000 }).await?;
//! match process.ended_within(Deadline::within(Duration::from_secs(3))).await? {
//!     Some(Ended::Completed(_)) => unreachable!("200"),
//!     Some(Ended::Compensated(StepError::Refused { reason })) => assert_eq!(reason, "declined"), // 409
//!     Some(Ended::Compensated(StepError::Unknown { .. } | StepError::NotSent { .. })) => unreachable!("502"),
//!     None => unreachable!("202: it goes on in the background"),
//! }
//! # Ok(()) }
//! ```

mod driver;
mod error;
mod handle;
mod life;
mod manager;
mod policy;
mod port;
mod progress;
mod run;
#[cfg(test)]
mod tests;

pub use driver::Driver;
pub use error::Error;
pub use handle::Ended;
pub use handle::Handle;
pub use manager::Done;
pub use manager::Next;
pub use manager::ProcessManager;
pub use policy::Policy;
pub use port::Call;
pub use port::Port;
pub use port::StepError;
