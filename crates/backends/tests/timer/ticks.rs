use std::sync::Arc;
use std::time::Duration;

use steadfast_backends::timer::{Config, Schedule, TimerSource};
use steadfast_base::units::HumanDuration;
use steadfast_base::{Deadline, ManualClock};
use steadfast_core::transport::{Outcome, Source as _, Subscribe};
use tokio::time::Instant;

use crate::support::{every, handle, open, receive, settle, time, timer};

#[tokio::test(start_paused = true)]
async fn ticks_come_when_they_are_due() {
    let timer = timer(every(10), "2026-11-23T12:00:05Z");
    let receiver = open(&timer).await;
    let began = Instant::now();
    for seconds in [5, 15, 25] {
        let received = receive(&*receiver).await;
        assert_eq!(began.elapsed().as_millis(), Duration::from_secs(seconds).as_millis());
        assert_eq!(received.event.time(), time("2026-11-23T12:00:05Z") + Duration::from_secs(seconds));
        assert_eq!((received.event.kind(), received.event.subject()), ("timer.tick", Some("test")));
        settle(&*receiver, &received, Outcome::Handled).await;
    }
    assert_eq!(timer.metrics().ticks, 3);
    receiver.close(Deadline::within(Duration::from_secs(1))).await.expect("closed");
}

#[tokio::test(start_paused = true)]
async fn cron_ticks_by_the_clock_on_the_wall() {
    let schedule = Schedule::Cron { expression: "30 2 * * *".into(), time_zone: "Europe/Berlin".into() };
    let timer = timer(Config::new("night", schedule), "2026-03-28T12:00:00Z");
    let receiver = open(&timer).await;
    let mut due = Vec::new();
    for _ in 0..2 {
        // More than an hour apart.
        tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
        due.extend(handle(&*receiver, 1).await);
    }
    // 02:30 does not exist on that night: the clock goes from 02:00 to 03:00.
    assert_eq!(due, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_the_same_event_in_every_process_and_no_other_one() {
    let (one, two) = (timer(every(10), "2026-11-23T12:00:01Z"), timer(every(5), "2026-11-23T12:00:09Z"));
    let mut other = every(10);
    other.name = "other".into();
    let other = timer(other, "2026-11-23T12:00:01Z");
    let (one, two, other) = (open(&one).await, open(&two).await, open(&other).await);
    let (first, same, third) = (receive(&*one).await, receive(&*two).await, receive(&*other).await);
    assert_eq!(first.event, same.event);
    assert_ne!(first.event.id(), third.event.id());
    settle(&*one, &first, Outcome::Handled).await;
    assert_ne!(receive(&*one).await.event.id(), first.event.id());
}

#[tokio::test(start_paused = true)]
async fn a_released_tick_comes_again_before_the_next_one() {
    let timer = timer(every(10), "2026-11-23T12:00:00Z");
    let receiver = open(&timer).await;
    let first = receive(&*receiver).await;
    settle(&*receiver, &first, Outcome::Released).await;
    let again = receive(&*receiver).await;
    assert_eq!((again.event.id(), again.redeliveries), (first.event.id(), 1));
    drop(receiver);
    // The next receiver of the group goes on there.
    let receiver = open(&timer).await;
    assert_eq!(receive(&*receiver).await.event.id(), first.event.id());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_stands_still_holds_up_no_other() {
    let timer = timer(every(10), "2026-11-23T12:00:00Z");
    let still = timer.open(&Subscribe::new("still")).await.expect("opened");
    let moving = open(&timer).await;
    let held = receive(&*still).await;
    let due = handle(&*moving, 3).await;
    assert_eq!(due, ["2026-11-23T12:00:10Z", "2026-11-23T12:00:20Z", "2026-11-23T12:00:30Z"]);
    settle(&*still, &held, Outcome::Handled).await;
    // It had the tick of :20 waiting for room, and makes up for the newest after that.
    assert_eq!(handle(&*still, 2).await, ["2026-11-23T12:00:20Z", "2026-11-23T12:00:30Z"]);
}

#[tokio::test(start_paused = true)]
async fn jitter_delays_by_the_seed_and_leaves_the_due_time() {
    let delays = async |seed: u64| {
        let mut config = every(10);
        config.jitter = HumanDuration(Duration::from_secs(8));
        config.seed = Some(seed);
        config.look_every = HumanDuration(Duration::from_secs(60));
        let timer = timer(config, "2026-11-23T12:00:00Z");
        let receiver = open(&timer).await;
        let began = Instant::now();
        let mut delays = Vec::new();
        for tick in 1..=20 {
            let received = receive(&*receiver).await;
            let due = Duration::from_secs(10 * tick);
            assert_eq!(received.event.time(), time("2026-11-23T12:00:00Z") + due);
            delays.push(began.elapsed().saturating_sub(due));
            settle(&*receiver, &received, Outcome::Handled).await;
        }
        delays
    };
    let one = delays(1).await;
    assert!(one.iter().all(|delay| *delay <= Duration::from_millis(8001)), "{one:?}");
    assert!(one.iter().any(|delay| *delay > Duration::from_secs(4)), "{one:?}");
    assert!(one.iter().any(|delay| *delay < Duration::from_secs(4)), "{one:?}");
    assert_eq!(one, delays(1).await);
    assert_ne!(one, delays(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_repeats_nothing() {
    let clock = Arc::new(ManualClock::at(time("2026-11-23T12:00:09Z")));
    let timer = TimerSource::with_clock(every(10), clock.clone()).expect("valid");
    let receiver = open(&timer).await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(handle(&*receiver, 1).await, ["2026-11-23T12:00:10Z"]);
    clock.set(time("2026-11-23T11:59:00Z"));
    let nothing = async |seconds| {
        let quiet = tokio::time::timeout(Duration::from_secs(seconds), receiver.receive(1)).await;
        assert!(quiet.is_err(), "{quiet:?}");
    };
    nothing(100).await;
    clock.set(time("2026-11-23T12:00:10.5Z"));
    nothing(100).await;
    clock.set(time("2026-11-23T12:00:20Z"));
    assert_eq!(handle(&*receiver, 1).await, ["2026-11-23T12:00:20Z"]);
    // Set back by more than it waits for.
    clock.set(time("2026-11-22T12:00:00Z"));
    nothing(10).await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(handle(&*receiver, 1).await, ["2026-11-22T12:00:10Z"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_after_the_last_receiver() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let timer = timer(every(10), "2026-11-23T12:00:00Z");
    let receiver = open(&timer).await;
    assert!(tasks() > before);
    drop(timer);
    assert_eq!(handle(&*receiver, 2).await.len(), 2, "a receiver keeps its timer");
    drop(receiver);
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), ended).await.expect("its task has ended");
}
