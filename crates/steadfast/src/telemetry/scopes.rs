//! Scopes as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use steadfast_guard::scope::{PollTimes, Snapshot};

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
        })?;
        polls(&mut text)?;
        let help = "Polls of tasks that were slow: they blocked a thread";
        text.counters("task_slow_polls", help, "task", |seen| {
            seen.polls.iter().map(|(task, times)| (*task, times.slow)).collect()
        })
    }
}

fn polls(text: &mut Text<'_, '_, Snapshot>) -> fmt::Result {
    let (help, unit) = ("How long polls of tasks took", Some(&Unit::Seconds));
    text.each("task_poll_duration", help, unit, MetricType::Histogram, |histogram, seen| {
        seen.polls.iter().try_for_each(|(task, times)| {
            let labels = [("scope", seen.name.as_str()), ("task", task)];
            let (seconds, buckets) = (times.total_us as f64 / 1e6, buckets(times));
            let mut histogram = histogram.encode_family(&labels)?;
            histogram.encode_histogram::<NoLabelSet>(seconds, times.count, &buckets, None)
        })
    })
}

/// Returns how many polls took less than 1 µs, 4 µs, 16 µs and so on, each without those before it, and the rest.
fn buckets(times: &PollTimes) -> Vec<(f64, u64)> {
    let last = times.buckets.len() - 1;
    let bounds = (0..last).step_by(2).map(|at| (at, (1_u64 << at) as f64 / 1e6));
    let mut from = 0;
    let count = |(at, bound): (usize, f64)| {
        let count = times.buckets[from..=at].iter().sum();
        from = at + 1;
        (bound, count)
    };
    bounds.chain([(last, f64::INFINITY)]).map(count).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        drop(scope.spawn_until_closed("blocks", async { std::thread::sleep(Duration::from_millis(20)) }));
        let ends = async {
            while scope.snapshot().finished == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ends).await.expect("what blocks has ended");
        let text = metrics.encode();
        for line in [
            "orders_task_slow_polls_total{scope=\"service\",task=\"blocks\"} 1",
            "orders_task_poll_duration_seconds_count{scope=\"service\",task=\"blocks\"} 1",
            "orders_task_poll_duration_seconds_bucket{le=\"0.016384\",scope=\"service\",task=\"blocks\"} 0",
            "orders_task_poll_duration_seconds_bucket{le=\"+Inf\",scope=\"service\",task=\"blocks\"} 1",
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
