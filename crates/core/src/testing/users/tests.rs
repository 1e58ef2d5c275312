//! The suite itself under test: it passes a sound store, and catches what a broken one does to its users.

use crate::testing::store::run;
use crate::testing::store::tests::{Defect, Factory, TRIES};

crate::store_users_conformance!(Factory::new(None));

macro_rules! caught {
    ($($name:ident: $defect:ident by $case:ident)*) => {
        $(
            #[test]
            fn $name() {
                let passes = || run(super::$case(&mut Factory::new(Some(Defect::$defect)))).is_ok();
                assert!((0..TRIES).any(|_| !passes()), "the defect went unnoticed");
            }
        )*
    };
}

caught! {
    catches_a_process_that_is_forgotten: WritesLate by a_process_ends_done_in_whole_or_undone_in_whole
    catches_a_command_that_is_forgotten: WritesLate by a_scheduled_command_comes_at_its_time_until_it_is_handled
    catches_events_that_are_not_sent: DropsLiveEvents by an_outbox_sends_everything_in_order
    catches_effects_that_are_lost: WritesLate by an_inbox_gives_each_event_its_effect_once
    catches_events_that_are_not_counted: DropsLiveEvents by a_projection_counts_each_event_once_and_is_rebuilt
    catches_lost_updates: IgnoresConditions by commands_at_the_same_time_lose_nothing
    catches_commands_that_are_lost: WritesLate by random_commands_agree_with_a_model
}
