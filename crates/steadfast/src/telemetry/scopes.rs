//! Scopes as metrics, read when they are scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use steadfast_guard::Probe;
use steadfast_guard::scope::Snapshot;

/// All scopes of a process: one collector, for a metric must not stand twice in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Scopes(Arc<RwLock<Vec<Probe<Snapshot>>>>);

impl Scopes {
    /// Adds a scope, and says whether it is the first.
    pub(super) fn add(&self, scope: Probe<Snapshot>) -> bool {
        let mut scopes = self.0.write();
        scopes.push(scope);
        scopes.len() == 1
    }
}

type Value = fn(&Snapshot) -> u64;

const GAUGES: [(&str, &str, Value); 3] = [
    ("tasks_alive", "Tasks that are alive", |seen| seen.alive),
    ("tasks_old", "Tasks that are far older than they should be", |seen| seen.old),
    ("tasks_growing", "Tasks of which there are more and more", |seen| seen.growing),
];

const OUTCOMES: [(&str, Value); 5] = [
    ("finished", |seen| seen.finished),
    ("panicked", |seen| seen.panicked),
    ("expired", |seen| seen.expired),
    ("cancelled", |seen| seen.cancelled),
    ("refused", |seen| seen.refused),
];

impl prometheus_client::collector::Collector for Scopes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let scopes: Vec<_> = self.0.read().iter().map(Probe::snapshot).collect();
        for (name, help, value) in GAUGES {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for seen in &scopes {
                let labels = [("scope", seen.name.as_str())];
                ConstGauge::new(value(seen)).encode(gauge.encode_family(&labels)?)?;
            }
        }
        let help = "Tasks by how they ended, or that they were refused";
        let mut tasks = encoder.encode_descriptor("tasks", help, None, MetricType::Counter)?;
        for seen in &scopes {
            for (outcome, value) in OUTCOMES {
                let labels = [("scope", seen.name.as_str()), ("outcome", outcome)];
                ConstCounter::new(value(seen)).encode(tasks.encode_family(&labels)?)?;
            }
        }
        let help = "Panics by task";
        let mut panics = encoder.encode_descriptor("task_panics", help, None, MetricType::Counter)?;
        for seen in &scopes {
            for (task, count) in &seen.panics {
                let labels = [("scope", seen.name.as_str()), ("task", task)];
                ConstCounter::new(*count).encode(panics.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use steadfast_guard::{Scope, ScopePolicy};

    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn shows_what_a_scope_has_done() {
        let metrics = Metrics::new("orders");
        let scope = Scope::new("service", ScopePolicy::default());
        metrics.register_scope(&scope);
        metrics.register_scope(&Scope::new("other", ScopePolicy::default()));
        let task = scope.spawn_until_closed("fails", async { panic!("in the test") });
        let _: Result<(), _> = task.expect("there is room").await;
        drop(scope.spawn_until_closed("waits", std::future::pending::<()>()));
        let text = metrics.encode();
        for line in [
            "orders_tasks_alive{scope=\"service\"} 1",
            "orders_tasks_growing{scope=\"service\"} 0",
            "orders_tasks_total{scope=\"service\",outcome=\"panicked\"} 1",
            "orders_task_panics_total{scope=\"service\",task=\"fails\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE orders_tasks_alive gauge").count(), 1, "{text}");
    }
}
