//! Scopes as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use steadfast_guard::scope::Snapshot;

use super::text::{Probes, Text};

impl Collector for Probes<Snapshot> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.snapshots();
        let mut text = Text { encoder: &mut encoder, all: &all, label: "scope", name: |seen| &seen.name };
        text.gauge("tasks_alive", "Tasks that are alive", |seen| seen.alive)?;
        text.gauge("tasks_old", "Tasks that are far older than they should be", |seen| seen.old)?;
        text.gauge("tasks_growing", "Tasks of which there are more and more", |seen| seen.growing)?;
        text.counters("tasks", "Tasks by how they ended, or that they were refused", "outcome", |seen| {
            vec![
                ("finished", seen.finished),
                ("panicked", seen.panicked),
                ("expired", seen.expired),
                ("cancelled", seen.cancelled),
                ("refused", seen.refused),
            ]
        })?;
        text.counters("task_panics", "Panics by task", "task", |seen| {
            seen.panics.iter().map(|(task, count)| (*task, *count)).collect()
        })
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
