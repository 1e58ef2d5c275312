//! The trace of a long incident: the callee loses most of its capacity for an hour, under more load than it bears.

use std::time::Duration;

use steadfast_base::Seed;
use tokio::time::Instant;

use super::simulation::{Callee, Limiter};
use crate::shed::ShedPolicy;
use crate::shed::gradient::{Gradient, Sample};

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const SERVICE_TIME: Duration = Duration::from_millis(20);

impl Limiter for Gradient {
    fn limit(&self) -> u32 {
        self.limit()
    }

    fn ended(&mut self, started: Instant, now: Instant, in_flight: u32, peak: u32) {
        self.record(Sample { started, now, is_success: true, in_flight, peak });
    }
}

fn gradient(now: Instant) -> Gradient {
    Gradient::new(ShedPolicy::default(), now, Seed::new(1).stream("shed"))
}

/// The rule of Gradient2 in Netflix's concurrency-limits: the baseline is a long average of the latency under whatever
/// load there is. Here to show what drifts.
struct LongAverage {
    limit: f64,
    long: Option<f64>,
    began: Instant,
    seconds: f64,
    samples: u32,
}

impl LongAverage {
    fn new(now: Instant) -> Self {
        Self { limit: 20.0, long: None, began: now, seconds: 0.0, samples: 0 }
    }
}

impl Limiter for LongAverage {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn ended(&mut self, started: Instant, now: Instant, in_flight: u32, _: u32) {
        self.seconds += (now - started).as_secs_f64();
        self.samples += 1;
        if now - self.began < Duration::from_secs(1) || self.samples < 10 {
            return;
        }
        let short = self.seconds / f64::from(self.samples);
        (self.began, self.seconds, self.samples) = (now, 0.0, 0);
        let mut long = self.long.map_or(short, |long| long + (short - long) * 2.0 / 601.0);
        if long / short > 2.0 {
            long *= 0.95;
        }
        self.long = Some(long);
        if f64::from(in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient = (1.5 * long / short).clamp(0.5, 1.0);
        let target = self.limit * gradient + 4.0;
        self.limit = (self.limit * 0.8 + target * 0.2).clamp(20.0, 1000.0);
    }
}

#[test]
fn a_long_incident_does_not_make_slow_normal() {
    let now = Instant::now();
    let (mut callee, mut gradient) = (Callee::new(1, 40, SERVICE_TIME, now), gradient(now));
    callee.run(&mut gradient, 2 * MINUTE);
    let before = callee.run(&mut gradient, MINUTE);
    assert!(before.throughput >= 0.97 * 2000.0, "{before:?}");
    assert!(before.latency_mean <= 2 * SERVICE_TIME && before.limit_max <= 80, "{before:?}");

    callee.capacity = 8;
    callee.run(&mut gradient, MINUTE);
    for _ in 0..6 {
        let incident = callee.run(&mut gradient, 10 * MINUTE);
        assert!(incident.throughput >= 0.95 * 400.0, "it serves what can be served: {incident:?}");
        assert!(incident.latency_mean <= 2 * SERVICE_TIME, "{incident:?}");
        assert!(incident.limit_max <= 20, "{incident:?}");
    }

    callee.capacity = 40;
    callee.run(&mut gradient, MINUTE / 2);
    let after = callee.run(&mut gradient, MINUTE);
    assert!(after.throughput >= 0.95 * 2000.0 && after.latency_mean <= 2 * SERVICE_TIME, "{after:?}");
    assert!(callee.elapsed() > 64 * MINUTE);
}

#[test]
fn the_same_trace_makes_a_long_average_drift() {
    let now = Instant::now();
    let (mut callee, mut average) = (Callee::new(1, 40, SERVICE_TIME, now), LongAverage::new(now));
    callee.run(&mut average, 3 * MINUTE);
    callee.capacity = 8;
    callee.run(&mut average, MINUTE);
    let first = callee.run(&mut average, 10 * MINUTE);
    callee.run(&mut average, 40 * MINUTE);
    let last = callee.run(&mut average, 10 * MINUTE);
    assert!(last.latency_mean >= 10 * SERVICE_TIME, "{last:?}");
    assert!(last.latency_mean >= first.latency_mean * 3 / 2, "{first:?} {last:?}");
}

#[test]
fn a_callee_that_is_slower_whatever_the_load_is_given_its_share_again() {
    let now = Instant::now();
    let (mut callee, mut gradient) = (Callee::new(2, 40, SERVICE_TIME, now), gradient(now));
    callee.run(&mut gradient, 3 * MINUTE);
    callee.service_time = 10 * SERVICE_TIME;
    callee.run(&mut gradient, 2 * MINUTE);
    let slow = callee.run(&mut gradient, 5 * MINUTE);
    assert!(slow.throughput >= 0.95 * 200.0, "forty at a time, each 200 ms: {slow:?}");
    assert!(slow.latency_mean <= 20 * SERVICE_TIME, "{slow:?}");

    callee.service_time = SERVICE_TIME;
    callee.run(&mut gradient, MINUTE / 2);
    let fast = callee.run(&mut gradient, MINUTE);
    assert!(fast.throughput >= 0.95 * 2000.0 && fast.latency_mean <= 2 * SERVICE_TIME, "{fast:?}");
}

#[test]
fn a_process_that_begins_under_overload_finds_the_baseline() {
    let now = Instant::now();
    // Far fewer than the initial limit: the first window sees five times the latency.
    let (mut callee, mut gradient) = (Callee::new(3, 4, SERVICE_TIME, now), gradient(now));
    callee.run(&mut gradient, MINUTE);
    let stretch = callee.run(&mut gradient, MINUTE);
    assert!(stretch.throughput >= 0.95 * 200.0, "{stretch:?}");
    assert!(stretch.latency_mean <= 2 * SERVICE_TIME && gradient.limit() <= 9, "{stretch:?}");
}

#[test]
fn where_little_is_asked_for_the_limit_does_not_grow_without_end() {
    let now = Instant::now();
    let (mut callee, mut gradient) = (Callee::new(4, 400, SERVICE_TIME, now), gradient(now));
    callee.callers = 30;
    let stretch = callee.run(&mut gradient, 10 * MINUTE);
    assert!((40..=70).contains(&gradient.limit()), "{stretch:?}");
    assert!(stretch.latency_mean <= SERVICE_TIME + MS, "{stretch:?}");
}
