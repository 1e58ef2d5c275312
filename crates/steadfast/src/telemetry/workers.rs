//! Worker pools as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use steadfast_guard::workers::Snapshot;

use super::text::{Probes, Text};

impl Collector for Probes<Snapshot> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.snapshots();
        let mut text = Text { encoder: &mut encoder, all: &all, label: "workers", name: |seen| &seen.name };
        text.gauge("workers_quota_bytes", "How large the resident set may become", |seen| seen.quota)?;
        text.gauge("workers_resident_bytes", "How large it was at the last sample", |seen| seen.resident)?;
        text.gauge("workers_reserved_bytes", "What running jobs have reserved", |seen| seen.reserved)?;
        text.gauge("workers_running", "Jobs that run", |seen| seen.running)?;
        text.gauge("workers_queued", "Jobs that wait", |seen| seen.queued)?;
        text.gauge("workers_concurrency", "How many jobs may run at a time now", |seen| seen.concurrency)?;
        let help = "How often memory was sampled";
        text.counter("workers_memory_samples", help, None, |seen| seen.samples)?;
        let help = "How often the kernel told of memory pressure";
        text.counter("workers_memory_pressures", help, None, |seen| seen.pressures)?;
        text.counters(
            "workers_jobs",
            "Jobs by how they ended, or that they were refused",
            "outcome",
            |seen| {
                vec![
                    ("finished", seen.finished),
                    ("panicked", seen.panicked),
                    ("expired", seen.expired),
                    ("cancelled", seen.cancelled),
                    ("not_started", seen.not_started),
                    ("refused", seen.refused),
                ]
            },
        )
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
