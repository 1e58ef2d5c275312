//! Rate limits that processes share by Redis as metrics, read when they are scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use steadfast_backends::redis::limiter::{Mode, Snapshot};
use steadfast_guard::Probe;

/// All of a process: one collector, for a metric must not stand twice in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedLimits(Arc<RwLock<Vec<Probe<Snapshot>>>>);

impl SharedLimits {
    /// Adds a limiter, and says whether it is the first.
    pub(super) fn add(&self, limiter: Probe<Snapshot>) -> bool {
        let mut limiters = self.0.write();
        limiters.push(limiter);
        limiters.len() == 1
    }
}

const LABEL: &str = "shared_rate_limit";

type Value = fn(&Snapshot) -> u64;

/// A metric, its help, the label beside the limiter's name, and the values by that label.
type Family = (&'static str, &'static str, &'static str, &'static [(&'static str, Value)]);

const COUNTERS: [Family; 4] = [
    (
        "shared_rate_limit_calls",
        "Calls by outcome",
        "outcome",
        &[("allowed", |seen| seen.allowed), ("refused", |seen| seen.refused)],
    ),
    (
        "shared_rate_limit_decisions",
        "Calls by who decided: Redis, what it had said before, or for want of it the local share",
        "by",
        &[("redis", |seen| seen.shared), ("lease", |seen| seen.leased), ("local", |seen| seen.local)],
    ),
    (
        "shared_rate_limit_round_trips",
        "Questions to Redis by what came of them",
        "outcome",
        &[
            ("answered", |seen| seen.shared),
            ("timed_out", |seen| seen.timeouts),
            ("failed", |seen| seen.errors),
        ],
    ),
    (
        "shared_rate_limit_leased_permits",
        "Permits taken in advance, and those of them that were used",
        "action",
        &[("taken", |seen| seen.leased_permits), ("used", |seen| seen.leased_permits_used)],
    ),
];

const PLAIN_COUNTERS: [(&str, &str, Value); 2] = [
    ("shared_rate_limit_leases", "How often permits were taken in advance", |seen| seen.leases),
    ("shared_rate_limit_changes", "How often it changed who decides", |seen| seen.changes),
];

impl Collector for SharedLimits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let limiters: Vec<Snapshot> = self.0.read().iter().map(Probe::snapshot).collect();
        let help = "Who decides: 1 Redis, 0 the local share";
        let mut gauge =
            encoder.encode_descriptor("shared_rate_limit_by_redis", help, None, MetricType::Gauge)?;
        for seen in &limiters {
            let value = ConstGauge::new(u64::from(seen.mode == Mode::Shared));
            value.encode(gauge.encode_family(&[(LABEL, seen.prefix.as_str())])?)?;
        }
        for (name, help, label, values) in COUNTERS {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for seen in &limiters {
                for (kind, value) in values {
                    let labels = [(LABEL, seen.prefix.as_str()), (label, kind)];
                    ConstCounter::new(value(seen)).encode(counter.encode_family(&labels)?)?;
                }
            }
        }
        for (name, help, value) in PLAIN_COUNTERS {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for seen in &limiters {
                let labels = [(LABEL, seen.prefix.as_str())];
                ConstCounter::new(value(seen)).encode(counter.encode_family(&labels)?)?;
            }
        }
        let (name, help) =
            ("shared_rate_limit_round_trip_time", "How long calls waited for answers of Redis");
        let mut counter = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        for seen in &limiters {
            let seconds = seen.round_trips.total_us as f64 / 1e6;
            let labels = [(LABEL, seen.prefix.as_str())];
            ConstCounter::new(seconds).encode(counter.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
