//! Repositories of aggregates as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use steadfast_core::repository::Probe;

use super::text::{Listed, Text};

impl Collector for Listed<Probe> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.look(|probe| (probe.name().to_owned(), probe.snapshot()));
        let mut text = Text { encoder: &mut encoder, all: &all, label: "repository", name: |(name, _)| name };
        text.counters("repository_commands", "Commands by outcome", "outcome", |(_, seen)| {
            vec![("executed", seen.executed), ("repeated", seen.repeated), ("refused", seen.refused)]
        })?;
        let help = "How often a command was decided again because the stream had moved on";
        text.counter("repository_conflicts", help, None, |(_, seen)| seen.conflicts)?;
        text.counter("repository_loads", "Aggregates that were loaded", None, |(_, seen)| seen.loads)?;
        let help = "Events that were replayed to load aggregates";
        text.counter("repository_replayed_events", help, None, |(_, seen)| seen.replayed)?;
        let help = "Snapshots by what became of them";
        text.counters("repository_snapshots", help, "outcome", |(_, seen)| {
            vec![
                ("taken", seen.snapshots),
                ("failed", seen.snapshots_failed),
                ("dropped", seen.snapshots_dropped),
            ]
        })?;
        text.gauge("repository_cached", "Aggregates in memory", |(_, seen)| seen.cached)?;
        text.gauge("repository_cached_bytes", "How many bytes they take", |(_, seen)| seen.cached_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use steadfast_core::Aggregate;
    use steadfast_core::repository::{Cause, JsonEvents, Repository, Settings};
    use steadfast_core::store::{Durability, MemoryStore};

    use crate::telemetry::Metrics;

    /// A sum that takes no zero.
    #[derive(Default)]
    struct Sum(u64);

    impl Aggregate for Sum {
        type Command = u64;
        type Event = u64;
        type Error = &'static str;

        fn decide(&self, number: &u64) -> Result<Vec<u64>, &'static str> {
            if *number == 0 { Err("nothing to add") } else { Ok(vec![*number]) }
        }

        fn evolve(&mut self, number: &u64) {
            self.0 += number;
        }
    }

    #[tokio::test]
    async fn shows_what_a_repository_has_done() {
        let metrics = Metrics::new("orders");
        let settings = || Settings { durability: Durability::Accepted, ..Settings::default() };
        let sums = |prefix: &'static str| {
            let codec = JsonEvents::new("/sums", |_: &u64| "added");
            Repository::<Sum, _>::new(Arc::new(MemoryStore::new()), prefix, codec, settings())
        };
        let (first, other) = (sums("sum-"), sums("other-"));
        metrics.register_repository(first.probe("sums"));
        metrics.register_repository(other.probe("others"));
        for _ in 0..2 {
            first.execute("a", &1, &Cause::key("k")).await.expect("added");
        }
        first.execute("b", &0, &Cause::unknown()).await.expect_err("nothing to add");
        let text = metrics.encode();
        for line in [
            "orders_repository_commands_total{repository=\"sums\",outcome=\"executed\"} 1",
            "orders_repository_commands_total{repository=\"sums\",outcome=\"repeated\"} 1",
            "orders_repository_commands_total{repository=\"sums\",outcome=\"refused\"} 1",
            "orders_repository_commands_total{repository=\"others\",outcome=\"executed\"} 0",
            "orders_repository_conflicts_total{repository=\"sums\"} 0",
            "orders_repository_loads_total{repository=\"sums\"} 2",
            "orders_repository_snapshots_total{repository=\"sums\",outcome=\"taken\"} 0",
            "orders_repository_cached{repository=\"sums\"} 2",
            "orders_repository_cached{repository=\"others\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("cached_bytes{repository=\"sums\"} 0"), "{text}");
    }
}
