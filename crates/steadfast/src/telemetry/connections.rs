//! Supervised pools of connections as metrics, read when they are scraped. States and what waits are named as the
//! semantic conventions of OpenTelemetry name them for clients of databases (`db.client.connection.*`).

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use steadfast_guard::pool_health::{Health, Probe, Snapshot};

/// All pools of a process: one collector, for a metric must not stand twice in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<RwLock<Vec<Probe>>>);

impl Connections {
    /// Adds a pool, and says whether it is the first.
    pub(super) fn add(&self, pool: Probe) -> bool {
        let mut pools = self.0.write();
        pools.push(pool);
        pools.len() == 1
    }
}

type Value = fn(&Snapshot) -> u64;

/// A metric, its help, the label beside the pool's name, and the values by that label.
type Family = (&'static str, &'static str, &'static str, &'static [(&'static str, Value)]);

const STATES: Family = (
    "pool_connections",
    "Connections of the pool",
    "state",
    &[("idle", |seen| seen.idle), ("used", |seen| seen.in_use)],
);

const COUNTERS: [Family; 3] = [
    (
        "pool_checks",
        "Checks of idle connections by what was found",
        "outcome",
        &[("fast", |seen| seen.fast), ("slow", |seen| seen.slow), ("broken", |seen| seen.broken)],
    ),
    (
        "pool_stale_connections",
        "Stale connections by what was done with them",
        "action",
        &[("evicted", |seen| seen.evicted), ("kept", |seen| seen.kept)],
    ),
    (
        "pool_check_rounds",
        "Rounds of checks, by whether connections were left to callers",
        "outcome",
        &[("checked", |seen| seen.rounds.saturating_sub(seen.yielded)), ("yielded", |seen| seen.yielded)],
    ),
];

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let pools: Vec<Snapshot> = self.0.read().iter().map(Probe::snapshot).collect();
        let (name, help, label, states) = STATES;
        let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for seen in &pools {
            for (state, value) in states {
                let labels = [("pool", seen.name.as_str()), (label, state)];
                ConstGauge::new(value(seen)).encode(gauge.encode_family(&labels)?)?;
            }
        }
        let help = "Callers that wait for a connection";
        let mut gauge = encoder.encode_descriptor("pool_pending_requests", help, None, MetricType::Gauge)?;
        for seen in &pools {
            ConstGauge::new(seen.waiting).encode(gauge.encode_family(&[("pool", seen.name.as_str())])?)?;
        }
        let help = "How the pool is: 1 healthy, 0.5 degraded, 0 unhealthy";
        let mut gauge = encoder.encode_descriptor("pool_health", help, None, MetricType::Gauge)?;
        for seen in &pools {
            ConstGauge::new(level(seen.health))
                .encode(gauge.encode_family(&[("pool", seen.name.as_str())])?)?;
        }
        let help = "How long callers have waited for connections";
        let unit = Some(&Unit::Seconds);
        let mut counter = encoder.encode_descriptor("pool_wait_time", help, unit, MetricType::Counter)?;
        for seen in &pools {
            let seconds = seen.wait_times.total_us as f64 / 1e6;
            ConstCounter::new(seconds).encode(counter.encode_family(&[("pool", seen.name.as_str())])?)?;
        }
        let help = "Callers that have asked for a connection and have stopped waiting";
        let mut counter = encoder.encode_descriptor("pool_waits", help, None, MetricType::Counter)?;
        for seen in &pools {
            let count = ConstCounter::new(seen.wait_times.count);
            count.encode(counter.encode_family(&[("pool", seen.name.as_str())])?)?;
        }
        for (name, help, label, values) in COUNTERS {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for seen in &pools {
                for (kind, value) in values {
                    let labels = [("pool", seen.name.as_str()), (label, kind)];
                    ConstCounter::new(value(seen)).encode(counter.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn level(health: Health) -> f64 {
    match health {
        Health::Healthy => 1.0,
        Health::Degraded => 0.5,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use steadfast_base::Seed;
    use steadfast_guard::pool_health::{PoolHealth, PoolHealthPolicy};

    use crate::idle_pool::Idle;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn shows_what_a_pool_has_and_what_was_found_in_it() {
        let metrics = Metrics::new("orders");
        let policy = PoolHealthPolicy::default();
        let mut health = PoolHealth::new("ledger", Idle, policy, Seed::new(1));
        metrics.register_pool(health.probe());
        metrics.register_pool(PoolHealth::new("other", Idle, policy, Seed::new(2)).probe());
        let found = health.round().await;
        assert!(found.fast > 0, "{found:?}");
        let text = metrics.encode();
        for line in [
            "orders_pool_connections{pool=\"ledger\",state=\"idle\"} 2".to_owned(),
            "orders_pool_connections{pool=\"other\",state=\"used\"} 0".to_owned(),
            "orders_pool_health{pool=\"ledger\"} 1.0".to_owned(),
            "orders_pool_pending_requests{pool=\"ledger\"} 0".to_owned(),
            "orders_pool_wait_time_seconds_total{pool=\"ledger\"} 0.0".to_owned(),
            format!("orders_pool_checks_total{{pool=\"ledger\",outcome=\"fast\"}} {}", found.fast),
            "orders_pool_check_rounds_total{pool=\"ledger\",outcome=\"checked\"} 1".to_owned(),
            "orders_pool_check_rounds_total{pool=\"other\",outcome=\"checked\"} 0".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
