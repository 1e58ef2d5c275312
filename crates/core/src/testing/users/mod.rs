//! The suite of what works on an [`EventStore`](crate::store::EventStore): process managers, schedules, outbox, inbox,
//! projections and repositories, each ended by deaths at moments drawn from a seed, on any store.
//!
//! [`store_conformance!`](crate::store_conformance) says that a store keeps its promises; this says that they are enough.
//! A store brings the same [`StoreFactory`](super::store::StoreFactory) and gets one test per case. A death is that of who
//! uses the store: everything in memory is dropped, also in the middle of an append, and the store is opened again, after
//! a crash where the factory can do that, else after closing it. Where it keeps nothing, it goes on as it is.
//!
//! ```
//! # mod example {
//! use std::sync::Arc;
//! use futures::future::BoxFuture;
//! use steadfast_core::store::{EventStore, MemoryStore};
//! use steadfast_core::testing::store::StoreFactory;
//!
//! struct Memory;
//!
//! impl StoreFactory for Memory {
//!     fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
//!         Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn EventStore> })
//!     }
//! }
//!
//! steadfast_core::store_users_conformance!(Memory);
//! # }
//! ```

mod account;
mod inbox;
mod life;
mod outbox;
mod process;
mod projection;
mod repository;
mod schedule;
#[cfg(test)]
mod tests;

pub use inbox::an_inbox_gives_each_event_its_effect_once;
pub use outbox::an_outbox_sends_everything_in_order;
pub use process::a_process_ends_done_in_whole_or_undone_in_whole;
pub use projection::a_projection_counts_each_event_once_and_is_rebuilt;
pub use repository::commands_at_the_same_time_lose_nothing;
pub use repository::random_commands_agree_with_a_model;
pub use schedule::a_scheduled_command_comes_at_its_time_until_it_is_handled;

/// Makes one test of each case of the suite for the store that the factory opens; the expression is evaluated for
/// each test anew. Cases that the store's capabilities do not allow pass and say so on stderr.
#[macro_export]
macro_rules! store_users_conformance {
    ($factory:expr) => {
        $crate::store_users_conformance! { @cases $factory =>
            a_process_ends_done_in_whole_or_undone_in_whole
            a_projection_counts_each_event_once_and_is_rebuilt
            a_scheduled_command_comes_at_its_time_until_it_is_handled
            an_inbox_gives_each_event_its_effect_once
            an_outbox_sends_everything_in_order
            commands_at_the_same_time_lose_nothing
            random_commands_agree_with_a_model
        }
    };
    (@cases $factory:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let mut factory = $factory;
                let checked = $crate::testing::store::run($crate::testing::users::$case(&mut factory));
                if let Err(problem) = checked {
                    panic!("{problem}");
                }
            }
        )*
    };
}
