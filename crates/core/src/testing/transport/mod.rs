//! The conformance suite of transports: one list of cases that every [`Source`](crate::transport::Source) and
//! [`Sink`](crate::transport::Sink) passes.
//!
//! A transport brings a [`TransportFactory`] and gets one test per case from
//! [`transport_conformance!`](crate::transport_conformance). A source without a sink, such as a timer, brings a
//! [`Feed`] that makes events come. Each case is also a function that returns what it found, so that a test can
//! show that a broken transport is caught.
//!
//! Cases run where the transport declares the capability, and say on stderr where it does not. They never assume
//! how fast a transport is: they wait for what must come, within generous bounds.
//!
//! ```
//! # mod example {
//! use futures::future::BoxFuture;
//! use steadfast_core::testing::transport::{Opened, TransportFactory};
//! use steadfast_core::transport::memory::{Broker, Config};
//!
//! struct Memory(Broker);
//!
//! impl TransportFactory for Memory {
//!     fn open(&mut self) -> BoxFuture<'_, Opened> {
//!         Box::pin(async { Opened::new(self.0.source("conformance"), self.0.sink("conformance")) })
//!     }
//! }
//!
//! steadfast_core::transport_conformance!(Memory(Broker::new(Config::default())));
//! # }
//! ```

mod factory;
mod groups;
mod lifecycle;
mod order;
mod pressure;
mod reconnect;
mod redelivery;
mod start;
mod tally;
#[cfg(test)]
mod tests;
mod tools;

pub use factory::Feed;
pub use factory::Mark;
pub use factory::Opened;
pub use factory::TransportFactory;
pub use groups::nothing_is_lost_when_a_receiver_closes_under_load;
pub use groups::receivers_of_a_group_share_the_work;
pub use groups::receivers_that_come_and_go_lose_nothing;
pub use lifecycle::closing_is_clean;
pub use lifecycle::nothing_is_lost_when_a_sink_closes_under_load;
pub use lifecycle::receivers_leave_no_task_behind;
pub use lifecycle::unsupported_durability_is_refused;
pub use order::an_event_sent_twice_is_received_once;
pub use order::attributes_and_data_survive;
pub use order::events_of_a_key_arrive_in_order;
pub use pressure::back_pressure_reaches_the_sender;
pub use pressure::the_bound_of_events_in_flight_is_kept;
pub use reconnect::a_lost_connection_loses_nothing;
pub use reconnect::events_in_flight_outlive_a_lost_connection;
pub use reconnect::links_tell_how_the_connection_stands;
pub use reconnect::sending_to_nobody_fails_by_the_deadline;
pub use redelivery::a_dropped_receive_loses_nothing;
pub use redelivery::a_group_resumes_where_it_was;
pub use redelivery::events_of_a_dropped_receiver_come_again;
pub use redelivery::released_events_come_again;
pub use redelivery::settling_the_unknown_changes_nothing;
pub use start::a_new_group_starts_where_it_asks;
pub use start::each_group_receives_every_event;
pub use tools::Checked;
pub use tools::run;

/// Makes one test of each case of the suite for the transport that the factory opens; the expression is evaluated
/// for each test anew. Cases that the factory or the transport's capabilities do not allow pass and say so on
/// stderr.
#[macro_export]
macro_rules! transport_conformance {
    ($factory:expr) => {
        $crate::transport_conformance! { @cases $factory =>
            a_dropped_receive_loses_nothing
            a_group_resumes_where_it_was
            a_lost_connection_loses_nothing
            a_new_group_starts_where_it_asks
            an_event_sent_twice_is_received_once
            attributes_and_data_survive
            back_pressure_reaches_the_sender
            closing_is_clean
            each_group_receives_every_event
            events_in_flight_outlive_a_lost_connection
            events_of_a_dropped_receiver_come_again
            events_of_a_key_arrive_in_order
            links_tell_how_the_connection_stands
            nothing_is_lost_when_a_receiver_closes_under_load
            nothing_is_lost_when_a_sink_closes_under_load
            receivers_leave_no_task_behind
            receivers_of_a_group_share_the_work
            receivers_that_come_and_go_lose_nothing
            released_events_come_again
            sending_to_nobody_fails_by_the_deadline
            settling_the_unknown_changes_nothing
            the_bound_of_events_in_flight_is_kept
            unsupported_durability_is_refused
        }
    };
    (@cases $factory:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let mut factory = $factory;
                let checked = $crate::testing::transport::run(async {
                    $crate::testing::transport::$case(&mut factory).await
                });
                if let Err(problem) = checked {
                    panic!("{problem}");
                }
            }
        )*
    };
}
