//! The conformance suite of [`EventStore`](crate::store::EventStore): one list of cases that every store passes.
//!
//! A store brings a [`StoreFactory`] and gets one test per case from
//! [`store_conformance!`](crate::store_conformance). Each case is also a function that returns what it found, so
//! that a test can show that a broken store is caught.
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
//! steadfast_core::store_conformance!(Memory);
//! # }
//! ```

mod append;
mod archive;
mod condition;
mod crash;
mod delete;
mod factory;
mod lifecycle;
mod linear;
mod order;
mod read;
mod subscribe;
#[cfg(test)]
pub(in crate::testing) mod tests;
pub(in crate::testing) mod tools;

pub use append::achieved_durability_is_at_least_what_was_asked;
pub use append::attributes_survive_the_round_trip;
pub use append::batches_appended_twice_at_once_stand_once;
pub use append::batches_over_several_streams_are_atomic_or_refused;
pub use append::dropped_appends_are_whole_or_absent;
pub use append::duplicate_batches_return_their_place;
pub use append::events_keep_the_order_of_their_batch;
pub use append::invalid_batches_are_refused;
pub use append::unsupported_durability_is_refused;
pub use archive::archiving_changes_nothing_that_is_read;
pub use condition::a_conflict_leaves_nothing_behind;
pub use condition::expected_exists;
pub use condition::expected_no_stream;
pub use condition::expected_revision;
pub use condition::none_matching;
pub use condition::one_of_many_concurrent_writers_wins_each_revision;
pub use condition::what_a_conflict_tells_of_can_be_read;
pub use crash::CrashTest;
pub use crash::duplicates_are_raised_to_the_durability_asked_for;
pub use crash::durable_batches_survive_the_loss_of_power;
pub use crash::events_seen_survive_the_death_of_the_process;
pub use crash::survives_crashes;
pub use crash::written_batches_survive_the_death_of_the_process;
pub use delete::a_deleted_stream_is_empty_and_goes_on;
pub use delete::deleted_events_do_not_come_back;
pub use factory::Crash;
pub use factory::StoreFactory;
pub use lifecycle::a_closed_store_refuses;
pub use lifecycle::a_reopened_store_goes_on_where_it_stopped;
pub use lifecycle::an_empty_store_is_empty;
pub use linear::histories_are_linearizable;
pub use order::a_reader_never_passes_a_later_event;
pub use order::appended_events_are_readable_at_once;
pub use order::readers_never_see_part_of_a_batch;
pub use order::revisions_have_no_holes_under_concurrent_appends;
pub use read::filters_select;
pub use read::queries_honour_direction_from_and_limit;
pub use subscribe::subscriptions_begin_after_their_position;
pub use subscribe::subscriptions_have_no_gap_and_no_repeat;
pub use tools::Checked;
pub use tools::run;

/// Makes one test of each case of the suite for the store that the factory opens; the expression is evaluated for
/// each test anew. Cases that the factory or the store's capabilities do not allow pass and say so on stderr.
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::store_conformance! { @cases $factory =>
            a_closed_store_refuses
            a_conflict_leaves_nothing_behind
            a_deleted_stream_is_empty_and_goes_on
            a_reader_never_passes_a_later_event
            a_reopened_store_goes_on_where_it_stopped
            achieved_durability_is_at_least_what_was_asked
            an_empty_store_is_empty
            appended_events_are_readable_at_once
            archiving_changes_nothing_that_is_read
            attributes_survive_the_round_trip
            batches_appended_twice_at_once_stand_once
            batches_over_several_streams_are_atomic_or_refused
            deleted_events_do_not_come_back
            dropped_appends_are_whole_or_absent
            duplicate_batches_return_their_place
            duplicates_are_raised_to_the_durability_asked_for
            durable_batches_survive_the_loss_of_power
            events_keep_the_order_of_their_batch
            events_seen_survive_the_death_of_the_process
            expected_exists
            expected_no_stream
            expected_revision
            filters_select
            histories_are_linearizable
            invalid_batches_are_refused
            none_matching
            one_of_many_concurrent_writers_wins_each_revision
            queries_honour_direction_from_and_limit
            readers_never_see_part_of_a_batch
            revisions_have_no_holes_under_concurrent_appends
            subscriptions_begin_after_their_position
            subscriptions_have_no_gap_and_no_repeat
            unsupported_durability_is_refused
            what_a_conflict_tells_of_can_be_read
            written_batches_survive_the_death_of_the_process
        }
    };
    (@cases $factory:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let mut factory = $factory;
                let checked = $crate::testing::store::run($crate::testing::store::$case(&mut factory));
                if let Err(problem) = checked {
                    panic!("{problem}");
                }
            }
        )*
    };
}
