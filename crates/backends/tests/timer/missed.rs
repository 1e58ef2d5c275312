use std::sync::Arc;
use std::time::Duration;

use steadfast_backends::timer::{Missed, TimerSource};
use steadfast_base::ManualClock;
use steadfast_core::transport::Outcome;

use crate::support::{every, handle, open, receive, settle, time, timer};

/// What follows a handler that takes the tick of 12:00:10 and is done at 12:01:05.
async fn after_a_slow_handler(missed: Missed, count: usize) -> Vec<String> {
    let mut config = every(10);
    config.missed = missed;
    let timer = timer(config, "2026-11-23T12:00:00Z");
    let receiver = open(&timer).await;
    let slow = receive(&*receiver).await;
    tokio::time::sleep(Duration::from_secs(55)).await;
    settle(&*receiver, &slow, Outcome::Handled).await;
    // The tick of :20 was about to be handed out, and is.
    assert_eq!(handle(&*receiver, 1).await, ["2026-11-23T12:00:20Z"]);
    handle(&*receiver, count).await.into_iter().map(|due| due["2026-11-23T12:".len()..].to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_handler_slower_than_the_interval_gets_what_the_policy_says() {
    assert_eq!(after_a_slow_handler(Missed::Skip, 2).await, ["01:10Z", "01:20Z"]);
    assert_eq!(after_a_slow_handler(Missed::Once, 2).await, ["01:00Z", "01:10Z"]);
    assert_eq!(
        after_a_slow_handler(Missed::All { max: 3 }, 4).await,
        ["00:40Z", "00:50Z", "01:00Z", "01:10Z"]
    );
    let all = after_a_slow_handler(Missed::All { max: 100 }, 5).await;
    assert_eq!(all, ["00:30Z", "00:40Z", "00:50Z", "01:00Z", "01:10Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_makes_up_for_what_was_missed_since_the_last_tick() {
    let restarted = async |missed, last: &str| {
        let mut config = every(10);
        config.missed = missed;
        let timer = timer(config, "2026-11-23T12:00:05Z").after(time(last));
        let receiver = open(&timer).await;
        let due = handle(&*receiver, 2).await;
        (due, timer.metrics().late, timer.metrics().gaps)
    };
    let (due, late, gaps) = restarted(Missed::Once, "2026-11-20T00:00:00Z").await;
    assert_eq!((due.join(" ").as_str(), late, gaps), ("2026-11-23T12:00:00Z 2026-11-23T12:00:10Z", 1, 1));
    let (due, late, gaps) = restarted(Missed::Skip, "2026-11-20T00:00:00Z").await;
    assert_eq!((due.join(" ").as_str(), late, gaps), ("2026-11-23T12:00:10Z 2026-11-23T12:00:20Z", 0, 1));
    let (due, late, gaps) = restarted(Missed::All { max: 2 }, "2026-11-23T11:59:40Z").await;
    assert_eq!((due.join(" ").as_str(), late, gaps), ("2026-11-23T11:59:50Z 2026-11-23T12:00:00Z", 2, 0));
    // Nothing was missed.
    let (due, late, gaps) = restarted(Missed::Once, "2026-11-23T12:00:00Z").await;
    assert_eq!((due.join(" ").as_str(), late, gaps), ("2026-11-23T12:00:10Z 2026-11-23T12:00:20Z", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_misses_ticks() {
    let clock = Arc::new(ManualClock::at(time("2026-11-23T12:00:05Z")));
    let timer = TimerSource::with_clock(every(10), clock.clone()).expect("valid");
    let receiver = open(&timer).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    clock.set(time("2026-11-25T00:00:03Z"));
    assert_eq!(handle(&*receiver, 1).await, ["2026-11-25T00:00:00Z"]);
    assert_eq!((timer.metrics().late, timer.metrics().gaps), (1, 1));
}
