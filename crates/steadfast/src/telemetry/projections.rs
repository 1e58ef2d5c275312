//! Projections as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use steadfast_core::projection::Probe;

use super::text::{Listed, Text};

impl Collector for Listed<Probe> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.look(|probe| (probe.name().to_owned(), probe.snapshot()));
        let mut text = Text { encoder: &mut encoder, all: &all, label: "projection", name: |(name, _)| name };
        let help = "How old the oldest event is that is not in the view, when that was looked at last";
        text.maybe_gauge("projection_lag", help, Some(&Unit::Seconds), |(_, seen)| {
            seen.lag.map(|lag| lag.age.as_secs_f64())
        })?;
        let help = "Whether everything was in the view when that was looked at last: 1 or 0";
        text.maybe_gauge("projection_caught_up", help, None, |(_, seen)| {
            seen.lag.map(|lag| u64::from(lag.is_caught_up()))
        })?;
        let help = "How long ago it was looked at how far the view is behind";
        text.maybe_gauge("projection_lag_sample_age", help, Some(&Unit::Seconds), |(_, seen)| {
            seen.lag_told_ago.map(|ago| ago.as_secs_f64())
        })?;
        text.counters("projection_events", "Events by what became of them", "outcome", |(_, seen)| {
            vec![("applied", seen.applied), ("skipped", seen.skipped)]
        })?;
        let help = "Batches in which events were applied";
        text.counter("projection_batches", help, None, |(_, seen)| seen.batches)?;
        let help = "Attempts to apply events that failed";
        text.counter("projection_failures", help, None, |(_, seen)| seen.failures)?;
        let help = "How often a rebuilt view has taken the place of another";
        text.counter("projection_switches", help, None, |(_, seen)| seen.switches)?;
        let help = "How often a view had gone back and got events again";
        text.counter("projection_rewinds", help, None, |(_, seen)| seen.rewinds)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use steadfast_base::ManualClock;
    use steadfast_core::Event;
    use steadfast_core::projection::{MemoryView, Projector, Settings};
    use steadfast_core::store::{Batch, Condition, Durability, EventStore, MemoryStore, StoredEvent};

    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn shows_what_a_projection_has_done_and_how_far_it_is_behind() {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(100)));
        let append = async |seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let batch = Batch::to_stream("s", [Event::new("/x", "e").time(time).build()]);
            store.append(batch, Condition::Any, Durability::Accepted).await.expect("room");
        };
        let projector = |name: &'static str| {
            let count = |count: &mut u64, _: &StoredEvent| {
                *count += 1;
                Ok::<_, Infallible>(())
            };
            let view = Arc::new(MemoryView::new(0, count));
            let settings = Settings { clock: clock.clone(), ..Settings::default() };
            Projector::new(name, Arc::clone(&store) as _, view, settings)
        };
        append(90).await;
        let (totals, other) = (projector("totals"), projector("other"));
        let metrics = Metrics::new("orders");
        metrics.register_projection(totals.probe());
        metrics.register_projection(other.probe());
        totals.catch_up().await.expect("applied");
        append(95).await;
        totals.lag().await.expect("readable");
        let text = metrics.encode();
        for line in [
            "orders_projection_lag_seconds{projection=\"totals\"} 5.0",
            "orders_projection_caught_up{projection=\"totals\"} 0",
            "orders_projection_events_total{projection=\"totals\",outcome=\"applied\"} 1",
            "orders_projection_events_total{projection=\"totals\",outcome=\"skipped\"} 0",
            "orders_projection_events_total{projection=\"other\",outcome=\"applied\"} 0",
            "orders_projection_batches_total{projection=\"totals\"} 1",
            "orders_projection_rewinds_total{projection=\"totals\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("orders_projection_lag_sample_age_seconds{projection=\"totals\"} "), "{text}");
        assert!(!text.contains("lag_seconds{projection=\"other\"}"), "nobody has looked:\n{text}");
        other.catch_up().await.expect("applied");
        other.lag().await.expect("readable");
        let text = metrics.encode();
        assert!(text.contains("orders_projection_caught_up{projection=\"other\"} 1"), "{text}");
    }
}
