//! Supervised pools of connections as metrics, read when they are scraped. States and what waits are named as the
//! semantic conventions of OpenTelemetry name them for clients of databases (`db.client.connection.*`).

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use steadfast_guard::pool_health::{Health, Snapshot};

use super::text::{Probes, Text};

impl Collector for Probes<Snapshot> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.snapshots();
        let mut text = Text { encoder: &mut encoder, all: &all, label: "pool", name: |seen| &seen.name };
        text.gauges("pool_connections", "Connections of the pool", "state", |seen| {
            vec![("idle", seen.idle), ("used", seen.in_use)]
        })?;
        text.gauge("pool_pending_requests", "Callers that wait for a connection", |seen| seen.waiting)?;
        let help = "How the pool is: 1 healthy, 0.5 degraded, 0 unhealthy";
        text.gauge("pool_health", help, |seen| level(seen.health))?;
        let help = "How long callers have waited for connections";
        text.counter("pool_wait_time", help, Some(&Unit::Seconds), |seen| {
            seen.wait_times.total_us as f64 / 1e6
        })?;
        let help = "Callers that have asked for a connection and have stopped waiting";
        text.counter("pool_waits", help, None, |seen| seen.wait_times.count)?;
        let help = "Checks of idle connections by what was found";
        text.counters("pool_checks", help, "outcome", |seen| {
            vec![("fast", seen.fast), ("slow", seen.slow), ("broken", seen.broken)]
        })?;
        let help = "Stale connections by what was done with them";
        text.counters("pool_stale_connections", help, "action", |seen| {
            vec![("evicted", seen.evicted), ("kept", seen.kept)]
        })?;
        let help = "Rounds of checks, by whether connections were left to callers";
        text.counters("pool_check_rounds", help, "outcome", |seen| {
            vec![("checked", seen.rounds.saturating_sub(seen.yielded)), ("yielded", seen.yielded)]
        })
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
