//! The suite itself under test: it catches each defect. That it passes a sound transport shows in the tests of the
//! transport in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use steadfast_base::Deadline;

use super::{Checked, Opened, TransportFactory};
use crate::Event;
use crate::store::Durability;
use crate::testing::store::tests::TRIES;
use crate::transport::memory::{Broker, Config};
use crate::transport::{
    Capabilities, Error, Link, LinkState, Outcome, Received, Receiver, Settlement, Sink, Source, Start,
    Subscribe,
};

/// What is wrong with a transport on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    LosesEvents,
    Reorders,
    AcknowledgesEarly,
    NeverAcknowledges,
    IgnoresTheBound,
    LosesWithTheFuture,
    ForgetsTheGroup,
    MixesGroups,
    ForgetsKeys,
    StartsOldest,
    StartsNew,
    NeverEnds,
    LeaksTasks,
    FailsOnTheUnknown,
    LowersDurability,
    NeverHoldsUp,
    DropsAttributes,
    ForgetsDuplicates,
    SaysUpAlways,
    SendsForEver,
    SaysSentAlways,
    SaysSentWhenClosing,
    /// No defect: it closes without waiting for what is being sent, which arrives all the same.
    ClosesAtOnce,
}

struct FlawedSource {
    inner: Arc<dyn Source>,
    defect: Defect,
    opened: AtomicU64,
}

impl Source for FlawedSource {
    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn destination(&self) -> &str {
        self.inner.destination()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async move {
            let mut subscribe = subscribe.clone();
            match self.defect {
                Defect::IgnoresTheBound => subscribe.in_flight_max *= 2,
                Defect::ForgetsTheGroup => {
                    let number = self.opened.fetch_add(1, Ordering::Relaxed);
                    subscribe.group = format!("{}-{number}", subscribe.group).into();
                }
                Defect::MixesGroups => subscribe.group = "all".into(),
                Defect::StartsOldest => subscribe.start = Start::Oldest,
                Defect::StartsNew => subscribe.start = Start::New,
                Defect::LeaksTasks => drop(tokio::spawn(std::future::pending::<()>())),
                _ => {}
            }
            let inner = self.inner.open(&subscribe).await?;
            Ok(Box::new(FlawedReceiver { inner, defect: self.defect, count: AtomicU64::new(0) })
                as Box<dyn Receiver>)
        })
    }
}

struct FlawedReceiver {
    inner: Box<dyn Receiver>,
    defect: Defect,
    count: AtomicU64,
}

impl FlawedReceiver {
    async fn settle_all(&self, events: &[Received]) {
        let handled = super::tools::settlements(events, Outcome::Handled);
        // It fails where the connection is lost, which is no defect.
        let _ = self.inner.settle(&handled).await;
    }
}

impl Receiver for FlawedReceiver {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        Box::pin(async move {
            let mut events = self.inner.receive(max).await?;
            match self.defect {
                Defect::LosesEvents => {
                    let lost = |received: &mut Received| {
                        received.event.data().ends_with(b" 7") && received.redeliveries == 0
                    };
                    let lost: Vec<_> = events.extract_if(.., lost).collect();
                    self.settle_all(&lost).await;
                    if events.is_empty() {
                        return self.receive(max).await;
                    }
                }
                Defect::Reorders => events.reverse(),
                Defect::AcknowledgesEarly => self.settle_all(&events).await,
                Defect::LosesWithTheFuture => {
                    self.settle_all(&events).await;
                    tokio::task::yield_now().await;
                }
                Defect::NeverEnds if events.is_empty() => std::future::pending().await,
                Defect::ForgetsKeys => {
                    for received in &mut events {
                        if let Some(subject) = received.event.take_extension("hidden") {
                            received.event.subject = Some(subject.into());
                        }
                    }
                }
                _ => {}
            }
            Ok(events)
        })
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let mut settlements = settlements.to_vec();
            match self.defect {
                Defect::FailsOnTheUnknown if settlements.iter().any(|told| told.token.0 > 1 << 24) => {
                    let reason = "an unknown token".to_owned();
                    return Err(Error::Rejected { system: "flawed", reason });
                }
                // Now and then only, so that cases come to their end.
                Defect::NeverAcknowledges if self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) => {
                    settlements.iter_mut().for_each(|told| told.outcome = Outcome::Released);
                }
                _ => {}
            }
            self.inner.settle(&settlements).await
        })
    }

    fn link(&self) -> LinkState {
        match self.defect {
            Defect::SaysUpAlways => tokio::sync::watch::channel(Link::Up).1,
            _ => self.inner.link(),
        }
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.close(deadline)
    }
}

struct FlawedSink {
    inner: Arc<dyn Sink>,
    defect: Defect,
    closing: Mutex<bool>,
}

impl Sink for FlawedSink {
    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn capabilities(&self) -> Capabilities {
        match self.defect {
            Defect::ForgetsDuplicates => self.inner.capabilities().deduplicates(),
            _ => self.inner.capabilities(),
        }
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        let (mut events, mut asked) = (events.to_vec(), durability);
        Box::pin(async move {
            match self.defect {
                Defect::LowersDurability => asked = Durability::Accepted,
                Defect::DropsAttributes => events.iter_mut().for_each(|event| event.set_data_schema(None)),
                Defect::ClosesAtOnce if *self.closing.lock() => return Err(Error::Closed),
                Defect::SendsForEver => return std::future::pending().await,
                Defect::ForgetsKeys => {
                    for event in &mut events {
                        if let Some(subject) = event.subject.take() {
                            event.put_extension("hidden", &*subject);
                        }
                    }
                }
                _ => {}
            }
            let lies = match self.defect {
                Defect::SaysSentAlways => !matches!(*self.link().borrow(), Link::Up),
                Defect::SaysSentWhenClosing => *self.closing.lock(),
                _ => false,
            };
            if lies {
                tokio::task::yield_now().await;
                return if events[0].data().ends_with(b"00") { Err(Error::Closed) } else { Ok(asked) };
            }
            self.inner.send(&events, asked, deadline).await
        })
    }

    fn link(&self) -> LinkState {
        self.inner.link()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        *self.closing.lock() = true;
        if self.defect == Defect::ClosesAtOnce {
            return std::future::ready(Ok(())).boxed();
        }
        self.inner.close(deadline)
    }
}

struct Flawed {
    broker: Broker,
    defect: Defect,
}

const CAPACITY: usize = 200;

impl Flawed {
    fn new(defect: Defect) -> Self {
        let capacity = match defect {
            Defect::NeverHoldsUp => 10 * CAPACITY,
            Defect::ClosesAtOnce => 1,
            _ => CAPACITY,
        };
        let deduplicated_events = if defect == Defect::ForgetsDuplicates { 0 } else { CAPACITY };
        Self { broker: Broker::new(Config { capacity, deduplicated_events }), defect }
    }

    fn sink(&self) -> Arc<dyn Sink> {
        let inner = self.broker.sink("topic");
        Arc::new(FlawedSink { inner, defect: self.defect, closing: Mutex::default() })
    }
}

impl TransportFactory for Flawed {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        let inner = self.broker.source("topic");
        let source = Arc::new(FlawedSource { inner, defect: self.defect, opened: AtomicU64::new(0) });
        let opened = Opened::new(source, self.sink());
        std::future::ready(opened).boxed()
    }

    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        self.broker.cut();
        Some(std::future::ready(()).boxed())
    }

    fn restore(&mut self) -> BoxFuture<'_, ()> {
        self.broker.restore();
        std::future::ready(()).boxed()
    }

    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        self.broker.cut();
        Some(std::future::ready(self.sink()).boxed())
    }

    fn capacity(&self) -> Option<usize> {
        Some(CAPACITY)
    }
}

/// Runs a case in virtual time, so that what it waits for in vain costs nothing.
fn run(case: impl Future<Output = Checked>) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("the operating system grants threads");
    runtime.block_on(case)
}

/// Whoever is held up while the sink closes is not taken for stuck.
#[test]
fn a_full_transport_may_close_at_once() {
    let checked = run(async {
        let begun = tokio::time::Instant::now();
        let mut factory = Flawed::new(Defect::ClosesAtOnce);
        super::nothing_is_lost_when_a_sink_closes_under_load(&mut factory).await?;
        super::tools::check(begun.elapsed() < super::tools::QUIET, || {
            format!("it took {:?}", begun.elapsed())
        })
    });
    assert_eq!(checked, Ok(()));
}

/// A case that never ends says where it is.
#[test]
fn a_case_that_hangs_is_named_by_its_step() {
    super::tools::begun("waiting for nothing");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let checked = super::tools::run_on(runtime.expect("a runtime"), async {
        let _ = super::tools::within("opening the hatch", std::future::ready(())).await;
        std::future::pending().await
    });
    assert!(checked.is_err_and(|hung| hung.contains("opening the hatch")));
}

/// Asserts that a case finds a defect.
macro_rules! caught {
    ($($name:ident: $defect:ident by $case:ident)*) => {
        $(
            #[test]
            fn $name() {
                let found = || run(super::$case(&mut Flawed::new(Defect::$defect))).err();
                let problem = (0..TRIES).find_map(|_| found()).expect("the defect goes unnoticed");
                println!("{problem}");
            }
        )*
    };
}

caught! {
    catches_lost_events: LosesEvents by events_of_a_key_arrive_in_order
    catches_events_out_of_order: Reorders by events_of_a_key_arrive_in_order
    catches_handled_events_that_come_again: NeverAcknowledges by events_of_a_key_arrive_in_order
    catches_events_acknowledged_before_they_are_handled: AcknowledgesEarly by released_events_come_again
    catches_released_events_out_of_order: Reorders by released_events_come_again
    catches_events_lost_with_their_receiver: AcknowledgesEarly by events_of_a_dropped_receiver_come_again
    catches_events_lost_at_the_checkpoint: AcknowledgesEarly by a_group_resumes_where_it_was
    catches_a_group_that_begins_again: ForgetsTheGroup by a_group_resumes_where_it_was
    catches_events_lost_with_the_connection: AcknowledgesEarly by events_in_flight_outlive_a_lost_connection
    catches_events_lost_with_those_who_come_and_go: AcknowledgesEarly by receivers_that_come_and_go_lose_nothing
    catches_events_lost_by_closing: AcknowledgesEarly by nothing_is_lost_when_a_receiver_closes_under_load
    catches_an_ignored_bound: IgnoresTheBound by the_bound_of_events_in_flight_is_kept
    catches_a_receive_that_loses_events: LosesWithTheFuture by a_dropped_receive_loses_nothing
    catches_work_done_by_each: ForgetsTheGroup by receivers_of_a_group_share_the_work
    catches_a_key_with_two_receivers: ForgetsKeys by receivers_of_a_group_share_the_work
    catches_groups_that_take_from_each_other: MixesGroups by each_group_receives_every_event
    catches_a_new_group_that_gets_old_events: StartsOldest by a_new_group_starts_where_it_asks
    catches_a_new_group_that_gets_no_old_events: StartsNew by a_new_group_starts_where_it_asks
    catches_a_receive_that_never_ends: NeverEnds by closing_is_clean
    catches_tasks_left_behind: LeaksTasks by receivers_leave_no_task_behind
    catches_an_unknown_token_that_fails: FailsOnTheUnknown by settling_the_unknown_changes_nothing
    catches_lowered_durability: LowersDurability by unsupported_durability_is_refused
    catches_a_sender_that_is_never_held_up: NeverHoldsUp by back_pressure_reaches_the_sender
    catches_a_lost_attribute: DropsAttributes by attributes_and_data_survive
    catches_duplicates: ForgetsDuplicates by an_event_sent_twice_is_received_once
    catches_a_link_that_hides_the_loss: SaysUpAlways by links_tell_how_the_connection_stands
    catches_a_send_without_end: SendsForEver by sending_to_nobody_fails_by_the_deadline
    catches_a_send_that_is_said_to_have_arrived: SaysSentAlways by sending_to_nobody_fails_by_the_deadline
    catches_events_lost_by_a_sink_without_connection: SaysSentAlways by a_lost_connection_loses_nothing
    catches_events_lost_by_a_closing_sink: SaysSentWhenClosing by nothing_is_lost_when_a_sink_closes_under_load
}
