//! Rate limits that processes share by Redis as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use steadfast_backends::redis::limiter::{Mode, Snapshot};

use super::text::{Probes, Text};

impl Collector for Probes<Snapshot> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.snapshots();
        let mut text =
            Text { encoder: &mut encoder, all: &all, label: "shared_rate_limit", name: |seen| &seen.prefix };
        let help = "Who decides: 1 Redis, 0 the local share";
        text.gauge("shared_rate_limit_by_redis", help, |seen| u64::from(seen.mode == Mode::Shared))?;
        text.counters("shared_rate_limit_calls", "Calls by outcome", "outcome", |seen| {
            vec![("allowed", seen.allowed), ("refused", seen.refused)]
        })?;
        let help = "Calls by who decided: Redis, what it had said before, or for want of it the local share";
        text.counters("shared_rate_limit_decisions", help, "by", |seen| {
            vec![("redis", seen.shared), ("lease", seen.leased), ("local", seen.local)]
        })?;
        let help = "Calls that asked Redis, or waited for one that did, by what came of it";
        text.counters("shared_rate_limit_round_trips", help, "outcome", |seen| {
            vec![("answered", seen.shared), ("timed_out", seen.timeouts), ("failed", seen.errors)]
        })?;
        let help = "Permits taken in advance, and those of them that were used";
        text.counters("shared_rate_limit_leased_permits", help, "action", |seen| {
            vec![("taken", seen.leased_permits), ("used", seen.leased_permits_used)]
        })?;
        let help = "How often permits were taken in advance";
        text.counter("shared_rate_limit_leases", help, None, |seen| seen.leases)?;
        let help = "How often it changed who decides";
        text.counter("shared_rate_limit_changes", help, None, |seen| seen.changes)?;
        let help = "How long calls waited for answers of Redis";
        text.counter("shared_rate_limit_round_trip_time", help, Some(&Unit::Seconds), |seen| {
            seen.round_trips.total_us as f64 / 1e6
        })
    }
}
