use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use steadfast_base::{Clock, Deadline};
use tokio::time::{Instant, timeout};

use super::{Error, Schedule};
use crate::Event;
use crate::store::flaky::Flaky;
use crate::store::{Batch, Condition, Durability, EventStore, MemoryStore, NewEvent};
use crate::transport::{self, Outcome, Received, Receiver, Settlement, Source, Subscribe};

const MINUTE: Duration = Duration::from_secs(60);

/// Wall time that goes with the paused clock of the runtime.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.0.elapsed()
    }
}

fn schedule() -> (Schedule, Arc<Virtual>) {
    schedule_in(Arc::new(MemoryStore::new()))
}

fn schedule_in(store: Arc<dyn EventStore>) -> (Schedule, Arc<Virtual>) {
    let clock = Arc::new(Virtual(Instant::now()));
    let schedule = Schedule::new(store, "test");
    (schedule.clock(Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

fn command(subject: &str) -> Event {
    Event::new("/test", "reminder.send").subject(subject).extension("tenant", "a").build()
}

async fn open(schedule: &Schedule) -> Box<dyn Receiver> {
    schedule.open(&Subscribe::new("test")).await.expect("a readable store")
}

async fn settle(receiver: &dyn Receiver, received: &Received, outcome: Outcome) {
    let settlement = Settlement { token: received.token, outcome };
    receiver.settle(&[settlement]).await.expect("a writable store");
}

/// Takes what is due within a virtual hour.
async fn take(receiver: &dyn Receiver, max: usize) -> Vec<Received> {
    let received = timeout(60 * MINUTE, receiver.receive(max)).await.expect("something is due");
    received.expect("an open schedule")
}

fn subjects(received: &[Received]) -> Vec<&str> {
    received.iter().filter_map(|received| received.event.subject()).collect()
}

/// Nothing is due within a virtual hour.
async fn expect_nothing(receiver: &dyn Receiver) {
    let received = timeout(60 * MINUTE, receiver.receive(1)).await;
    assert!(received.is_err(), "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn commands_come_whole_at_their_time_and_in_its_order() {
    let (schedule, clock) = schedule();
    let receiver = open(&schedule).await;
    let (late, soon) = (command("late"), command("soon"));
    schedule.schedule(&late, clock.now() + 10 * MINUTE).await.expect("a writable store");
    schedule.schedule(&soon, clock.now() + MINUTE).await.expect("a writable store");
    let begun = Instant::now();
    for (expected, at) in [(soon, MINUTE), (late, 10 * MINUTE)] {
        let received = take(&*receiver, 10).await;
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].event.id(), expected.id());
        assert_eq!(received[0].event.extensions(), expected.extensions());
        let passed = begun.elapsed();
        assert!(passed >= at && passed < at + Duration::from_millis(10), "{passed:?}");
        settle(&*receiver, &received[0], Outcome::Handled).await;
    }
    expect_nothing(&*receiver).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_handled_comes_again_also_after_a_crash() {
    let (schedule, clock) = schedule();
    schedule.schedule(&command("a"), clock.now()).await.expect("a writable store");
    let receiver = open(&schedule).await;
    let first = take(&*receiver, 1).await;
    settle(&*receiver, &first[0], Outcome::Released).await;
    let second = take(&*receiver, 1).await;
    assert_eq!((first[0].redeliveries, second[0].redeliveries), (0, 1));
    drop(receiver);

    let next = open(&schedule).await;
    let third = take(&*next, 1).await;
    assert_eq!(subjects(&third), ["a"]);
    settle(&*next, &third[0], Outcome::Handled).await;
    next.close(Deadline::within(MINUTE)).await.expect("a writable store");
    assert!(next.receive(1).await.expect("closed is not an error").is_empty());
    expect_nothing(&*open(&schedule).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_cancelled_in_time_does_not_come() {
    let (schedule, clock) = schedule();
    let receiver = open(&schedule).await;
    let (kept, cancelled) = (command("kept"), command("cancelled"));
    for command in [&cancelled, &kept] {
        schedule.schedule(command, clock.now() + MINUTE).await.expect("a writable store");
    }
    let cancel = |id| schedule.cancel(id);
    assert!(cancel(cancelled.id()).await.expect("a writable store"));
    assert!(!cancel(cancelled.id()).await.expect("a writable store"), "it was cancelled before");
    assert!(!cancel(command("unknown").id()).await.expect("a writable store"));
    let received = take(&*receiver, 10).await;
    assert_eq!(subjects(&received), ["kept"]);

    // Cancelled while in hand: it may be handled, but does not come again.
    assert!(cancel(kept.id()).await.expect("a writable store"));
    expect_nothing(&*receiver).await;
    settle(&*receiver, &received[0], Outcome::Released).await;
    expect_nothing(&*receiver).await;
    assert!(!cancel(kept.id()).await.expect("a writable store"));
}

#[tokio::test(start_paused = true)]
async fn asking_twice_schedules_once_and_a_batch_schedules_with_its_decision() {
    let (schedule, clock) = schedule();
    let twice = command("twice");
    for _ in 0..2 {
        schedule.schedule(&twice, clock.now() + MINUTE).await.expect("a writable store");
    }
    let request = schedule.request(&command("together"), clock.now()).expect("a time after 1970");
    let decided = NewEvent { stream: "order-1".into(), event: Event::new("/test", "order.created").build() };
    let batch = Batch { events: vec![decided, request] };
    schedule.store.append(batch, Condition::Any, Durability::Accepted).await.expect("a writable store");

    let receiver = open(&schedule).await;
    for expected in ["together", "twice"] {
        let received = take(&*receiver, 10).await;
        assert_eq!(subjects(&received), [expected]);
        settle(&*receiver, &received[0], Outcome::Handled).await;
    }
    expect_nothing(&*receiver).await;
    assert!(matches!(schedule.request(&twice, SystemTime::UNIX_EPOCH - MINUTE), Err(Error::Time)));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_asked_for() {
    let (schedule, clock) = schedule();
    for number in 0..5 {
        schedule.schedule(&command(&number.to_string()), clock.now()).await.expect("a writable store");
    }
    let subscribe = Subscribe { in_flight_max: 2, ..Subscribe::new("test") };
    let receiver = schedule.open(&subscribe).await.expect("a readable store");
    let first = take(&*receiver, 10).await;
    assert_eq!(first.len(), 2);
    expect_nothing(&*receiver).await;
    let (next, ()) = tokio::join!(take(&*receiver, 10), settle(&*receiver, &first[0], Outcome::Handled));
    assert_eq!(next.len(), 1);
}

/// The next receiver begins to read where something is still pending.
#[tokio::test(start_paused = true)]
async fn a_saved_beginning_leaves_out_nothing_pending() {
    let (schedule, clock) = schedule();
    let receiver = open(&schedule).await;
    for number in 0..30 {
        let at = if number == 10 { clock.now() + MINUTE } else { clock.now() };
        schedule.schedule(&command(&number.to_string()), at).await.expect("a writable store");
    }
    for _ in 0..29 {
        let received = take(&*receiver, 1).await;
        settle(&*receiver, &received[0], Outcome::Handled).await;
    }
    receiver.close(Deadline::within(MINUTE)).await.expect("a writable store");
    let next = open(&schedule).await;
    assert_eq!(subjects(&take(&*next, 10).await), ["10"]);
    expect_nothing(&*next).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_for_a_while_does_not_end_the_schedule() {
    let store = Arc::new(Flaky::default());
    let (schedule, clock) = schedule_in(Arc::clone(&store) as Arc<dyn EventStore>);
    let receiver = open(&schedule).await;
    store.subscriptions.store(2, Ordering::SeqCst);
    for subject in ["a", "b"] {
        schedule.schedule(&command(subject), clock.now()).await.expect("a writable store");
        let received = take(&*receiver, 1).await;
        assert_eq!(subjects(&received), [subject]);
        settle(&*receiver, &received[0], Outcome::Handled).await;
    }
    assert_eq!(store.subscriptions.load(Ordering::SeqCst), 0);
    expect_nothing(&*receiver).await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_settled_at_once_does_not_come_again_once_it_is() {
    let store = Arc::new(Flaky::default());
    let (schedule, clock) = schedule_in(Arc::clone(&store) as Arc<dyn EventStore>);
    for subject in ["a", "b"] {
        schedule.schedule(&command(subject), clock.now()).await.expect("a writable store");
    }
    let receiver = open(&schedule).await;
    let received = take(&*receiver, 2).await;
    for failures in [&store.appends, &store.answers] {
        failures.store(1, Ordering::SeqCst);
        let settle_all = || async {
            let handled =
                |received: &Received| Settlement { token: received.token, outcome: Outcome::Handled };
            receiver.settle(&received.iter().map(handled).collect::<Vec<_>>()).await
        };
        let told = settle_all().await;
        assert!(matches!(told, Err(transport::Error::Unavailable { .. })), "{told:?}");
        expect_nothing(&*receiver).await;
        if failures.load(Ordering::SeqCst) == 0 && std::ptr::eq(failures, &store.answers) {
            settle_all().await.expect("a writable store");
        }
    }
    expect_nothing(&*receiver).await;
    drop(receiver);
    expect_nothing(&*open(&schedule).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_receiver_takes_the_schedule_over() {
    let (schedule, clock) = schedule();
    let first = open(&schedule).await;
    schedule.schedule(&command("held"), clock.now()).await.expect("a writable store");
    let held = take(&*first, 1).await;
    let second = open(&schedule).await;
    for number in 0..10 {
        let command = command(&number.to_string());
        schedule.schedule(&command, clock.now() + MINUTE).await.expect("a writable store");
    }
    let ended = timeout(60 * MINUTE, first.receive(1)).await.expect("it ends at once");
    assert!(matches!(ended, Err(transport::Error::Rejected { .. })), "{ended:?}");
    // What the first one has in hand it still settles.
    settle(&*first, &held[0], Outcome::Handled).await;
    let mut seen = Vec::new();
    while let Ok(received) = timeout(60 * MINUTE, second.receive(1)).await {
        let received = received.expect("it serves the schedule");
        seen.extend(subjects(&received).into_iter().map(str::to_owned));
        settle(&*second, &received[0], Outcome::Handled).await;
    }
    // It may have been handed out before the second one heard that it is settled.
    seen.retain(|subject| subject != "held");
    seen.sort_unstable();
    assert_eq!(seen, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever times are asked for and whenever receivers die, each command is handled once it is due, and after
    /// that never again.
    #[test]
    fn each_command_is_handled_after_its_time(
        times in prop::collection::vec(0_u64..5_000, 1..30),
        deaths in prop::collection::vec(0_u64..2_000, 0..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (schedule, clock) = schedule();
            let begun = clock.now();
            for (number, at) in times.iter().enumerate() {
                let at = begun + Duration::from_millis(*at);
                schedule.schedule(&command(&number.to_string()), at).await.expect("a writable store");
            }
            let mut handled = vec![0; times.len()];
            let last = Duration::from_secs(3_600);
            for death in deaths.into_iter().map(Duration::from_millis).chain([last]) {
                let receiver = open(&schedule).await;
                let _ = timeout(death, async {
                    loop {
                        for received in receiver.receive(3).await.expect("an open schedule") {
                            let number: usize = received.event.subject().expect("a number").parse().expect("a number");
                            let due = begun + Duration::from_millis(times[number]);
                            assert!(clock.now() >= due, "command {number} is early");
                            settle(&*receiver, &received, Outcome::Handled).await;
                            handled[number] += 1;
                        }
                    }
                }).await;
            }
            assert!(handled.iter().all(|times| *times == 1), "{handled:?}");
        });
    }
}
