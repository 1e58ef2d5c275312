use std::sync::Arc;
use std::time::{Duration, SystemTime};

use steadfast_backends::timer::{Config, Schedule, TimerSource};
use steadfast_base::TokioClock;
use steadfast_base::units::HumanDuration;
use steadfast_core::cloudevents::rfc3339;
use steadfast_core::transport::{Outcome, Received, Receiver, Settlement, Source as _, Subscribe};

pub(crate) fn time(text: &str) -> SystemTime {
    rfc3339::parse(text).expect("a time")
}

pub(crate) fn every(seconds: u64) -> Config {
    Config::new("test", Schedule::Every(HumanDuration(Duration::from_secs(seconds))))
}

/// A timer whose clock shows `now` and moves with tokio's time.
pub(crate) fn timer(config: Config, now: &str) -> TimerSource {
    TimerSource::with_clock(config, Arc::new(TokioClock::at(time(now)))).expect("valid")
}

pub(crate) async fn open(timer: &TimerSource) -> Box<dyn Receiver> {
    timer.open(&Subscribe::new("group")).await.expect("opened")
}

/// Receives one tick, in at most an hour of virtual time.
pub(crate) async fn receive(receiver: &dyn Receiver) -> Received {
    let received = tokio::time::timeout(Duration::from_secs(3600), receiver.receive(1)).await;
    received.expect("a tick").expect("received").pop().expect("one")
}

pub(crate) async fn settle(receiver: &dyn Receiver, received: &Received, outcome: Outcome) {
    receiver.settle(&[Settlement { token: received.token, outcome }]).await.expect("settled");
}

/// Receives and handles `count` ticks, and returns when they were due.
pub(crate) async fn handle(receiver: &dyn Receiver, count: usize) -> Vec<String> {
    let mut due = Vec::new();
    for _ in 0..count {
        let received = receive(receiver).await;
        settle(receiver, &received, Outcome::Handled).await;
        due.push(rfc3339::format(received.event.time()));
    }
    due
}
