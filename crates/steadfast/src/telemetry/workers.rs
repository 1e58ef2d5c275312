//! Worker pools as metrics, read when they are scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use steadfast_guard::Probe;
use steadfast_guard::workers::Snapshot;

/// All pools of a process: one collector, for a metric must not stand twice in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Pools(Arc<RwLock<Vec<Probe<Snapshot>>>>);

impl Pools {
    /// Adds a pool, and says whether it is the first.
    pub(super) fn add(&self, workers: Probe<Snapshot>) -> bool {
        let mut pools = self.0.write();
        pools.push(workers);
        pools.len() == 1
    }
}

type Value = fn(&Snapshot) -> u64;

const GAUGES: [(&str, &str, Value); 6] = [
    ("workers_quota_bytes", "How large the resident set may become", |seen| seen.quota),
    ("workers_resident_bytes", "How large it was at the last sample", |seen| seen.resident),
    ("workers_reserved_bytes", "What running jobs have reserved", |seen| seen.reserved),
    ("workers_running", "Jobs that run", |seen| seen.running),
    ("workers_queued", "Jobs that wait", |seen| seen.queued),
    ("workers_concurrency", "How many jobs may run at a time now", |seen| seen.concurrency),
];

const COUNTERS: [(&str, &str, Value); 2] = [
    ("workers_memory_samples", "How often memory was sampled", |seen| seen.samples),
    ("workers_memory_pressures", "How often the kernel told of memory pressure", |seen| seen.pressures),
];

const OUTCOMES: [(&str, Value); 6] = [
    ("finished", |seen| seen.finished),
    ("panicked", |seen| seen.panicked),
    ("expired", |seen| seen.expired),
    ("cancelled", |seen| seen.cancelled),
    ("not_started", |seen| seen.not_started),
    ("refused", |seen| seen.refused),
];

impl prometheus_client::collector::Collector for Pools {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let pools: Vec<_> = self.0.read().iter().map(Probe::snapshot).collect();
        for (name, help, value) in GAUGES {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for seen in &pools {
                let labels = [("workers", seen.name.as_str())];
                ConstGauge::new(value(seen)).encode(gauge.encode_family(&labels)?)?;
            }
        }
        for (name, help, value) in COUNTERS {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for seen in &pools {
                let labels = [("workers", seen.name.as_str())];
                ConstCounter::new(value(seen)).encode(counter.encode_family(&labels)?)?;
            }
        }
        let help = "Jobs by how they ended, or that they were refused";
        let mut jobs = encoder.encode_descriptor("workers_jobs", help, None, MetricType::Counter)?;
        for seen in &pools {
            for (outcome, value) in OUTCOMES {
                let labels = [("workers", seen.name.as_str()), ("outcome", outcome)];
                ConstCounter::new(value(seen)).encode(jobs.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use steadfast_guard::workers::memory::ProcessMemory;
    use steadfast_guard::workers::{Job, Workers, WorkersPolicy};

    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn shows_what_a_pool_has_done() {
        let metrics = Metrics::new("orders");
        let workers = Workers::start("images", WorkersPolicy::default(), Arc::new(ProcessMemory::new()));
        metrics.register_workers(&workers);
        let job = Job::new("nothing").needs("1MiB".parse().expect("a size"));
        workers.submit(job, |_| ()).expect("there is room").await.expect("it ends");
        let text = metrics.encode();
        for line in [
            "orders_workers_quota_bytes{workers=\"images\"} 268435456",
            "orders_workers_jobs_total{workers=\"images\",outcome=\"finished\"} 1",
            "orders_workers_running{workers=\"images\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
