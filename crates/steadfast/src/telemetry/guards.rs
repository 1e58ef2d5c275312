//! Bulkheads, load shedding, hedges and rate limiters as metrics, read when they are scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use steadfast_base::Priority;
use steadfast_guard::{Bulkhead, Hedge, KeyedRateLimiter, RateLimiter, Shed};

use super::text::Text;

/// All guards of a process: one collector, for a metric must not stand twice in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Guards(Arc<RwLock<Listed>>);

#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) bulkheads: Vec<Bulkhead>,
    pub(super) sheds: Vec<Shed>,
    pub(super) hedges: Vec<Hedge>,
    pub(super) limiters: Vec<(Box<str>, RateLimiter)>,
    pub(super) keyed_limiters: Vec<(Box<str>, KeyedRateLimiter)>,
}

impl Guards {
    /// Adds a guard, and says whether it is the first.
    pub(super) fn add(&self, add: impl FnOnce(&mut Listed)) -> bool {
        let mut listed = self.0.write();
        let is_first = listed.is_empty();
        add(&mut listed);
        is_first
    }
}

impl Listed {
    fn is_empty(&self) -> bool {
        let Self { bulkheads, sheds, hedges, limiters, keyed_limiters } = self;
        let are_limiters = !(limiters.is_empty() && keyed_limiters.is_empty());
        bulkheads.is_empty() && sheds.is_empty() && hedges.is_empty() && !are_limiters
    }
}

impl Collector for Guards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let listed = self.0.read();
        bulkheads(&mut encoder, &listed.bulkheads)?;
        sheds(&mut encoder, &listed.sheds)?;
        hedges(&mut encoder, &listed.hedges)?;
        limiters(&mut encoder, &listed.limiters)?;
        keyed_limiters(&mut encoder, &listed.keyed_limiters)
    }
}

fn bulkheads(encoder: &mut DescriptorEncoder<'_>, all: &[Bulkhead]) -> fmt::Result {
    let all: Vec<_> = all.iter().map(Bulkhead::snapshot).collect();
    let mut text = Text { encoder, all: &all, label: "bulkhead", name: |seen| &seen.name };
    text.gauge("bulkhead_limit", "The most calls at a time", |seen| f64::from(seen.concurrency_max))?;
    text.gauge("bulkhead_in_flight", "Calls under way", |seen| f64::from(seen.in_flight))?;
    text.gauge("bulkhead_queued", "Calls that wait", |seen| seen.queued as f64)?;
    text.counters("bulkhead_calls", "Calls by outcome", "outcome", |seen| {
        vec![("admitted", seen.admitted), ("refused", seen.refused)]
    })
}

fn sheds(encoder: &mut DescriptorEncoder<'_>, all: &[Shed]) -> fmt::Result {
    let all: Vec<_> = all.iter().map(Shed::snapshot).collect();
    let mut text = Text { encoder, all: &all, label: "shed", name: |seen| &seen.name };
    text.gauge("shed_limit", "The most calls at a time, for now", |seen| f64::from(seen.limit))?;
    text.maybe_gauge("shed_baseline", "The latency without load", Some(&Unit::Seconds), |seen| {
        seen.baseline.map(|baseline| baseline.as_secs_f64())
    })?;
    text.gauge("shed_in_flight", "Calls under way", |seen| f64::from(seen.in_flight))?;
    text.gauge("shed_queued", "Calls that wait", |seen| seen.queued as f64)?;
    text.counters("shed_calls", "Calls by outcome", "outcome", |seen| {
        vec![("admitted", seen.admitted), ("refused", seen.shed.iter().sum())]
    })?;
    text.counters("shed_refused_calls", "Calls refused by priority", "priority", |seen| {
        Priority::ALL.iter().map(|priority| priority.name()).zip(seen.shed).collect()
    })
}

fn hedges(encoder: &mut DescriptorEncoder<'_>, all: &[Hedge]) -> fmt::Result {
    let all: Vec<_> = all.iter().map(Hedge::snapshot).collect();
    let mut text = Text { encoder, all: &all, label: "hedge", name: |seen| &seen.name };
    let help = "After how long a second attempt is made";
    text.maybe_gauge("hedge_delay", help, Some(&Unit::Seconds), |seen| {
        seen.delay.map(|delay| delay.as_secs_f64())
    })?;
    text.counters("hedge_calls", "Calls that may be hedged", "outcome", |seen| {
        vec![("answered", seen.answers)]
    })?;
    text.counters("hedge_attempts", "Second attempts by outcome", "outcome", |seen| {
        vec![("won", seen.won), ("not_won", seen.hedged.saturating_sub(seen.won))]
    })
}

fn limiters(encoder: &mut DescriptorEncoder<'_>, all: &[(Box<str>, RateLimiter)]) -> fmt::Result {
    let mut text = Text { encoder, all, label: "rate_limit", name: |(name, _)| name };
    let help = "Permits that conform now";
    text.gauge("rate_limit_available", help, |(_, limiter)| f64::from(limiter.available()))?;
    let help = "The most permits at a time";
    text.gauge("rate_limit_burst", help, |(_, limiter)| f64::from(limiter.quota().burst()))?;
    text.gauge("rate_limit_permits_per_second", "Permits per second", |(_, limiter)| {
        let quota = limiter.quota();
        f64::from(quota.permits()) / quota.window().as_secs_f64()
    })
}

fn keyed_limiters(encoder: &mut DescriptorEncoder<'_>, all: &[(Box<str>, KeyedRateLimiter)]) -> fmt::Result {
    let mut text = Text { encoder, all, label: "rate_limit", name: |(name, _)| name };
    text.gauge("rate_limit_keys", "Keys that are remembered", |(_, limiter)| limiter.keys() as f64)?;
    let help = "The most keys that are remembered";
    text.gauge("rate_limit_keys_max", help, |(_, limiter)| limiter.keys_max() as f64)?;
    let help = "Calls of keys for which there was no place, so that they shared a quota";
    text.counters("rate_limit_keyed_calls", help, "quota", |(_, limiter)| vec![("shared", limiter.strange())])
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use steadfast_base::{Budget, Seed};
    use steadfast_guard::rate_limit::{Key, Quota};
    use steadfast_guard::{BulkheadLayer, BulkheadPolicy, Error, HedgePolicy, ShedPolicy};
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn shows_what_guards_have_seen() {
        let metrics = Metrics::new("orders");
        let bulkhead =
            Bulkhead::new("reports", BulkheadPolicy { concurrency_max: 3, ..BulkheadPolicy::default() });
        metrics.register_bulkhead(&bulkhead);
        metrics.register_bulkhead(&Bulkhead::new("other", BulkheadPolicy::default()));
        metrics.register_shed(&Shed::new("server", ShedPolicy::default(), Seed::new(1)));
        metrics.register_hedge(&Hedge::new("reads", HedgePolicy::default(), Arc::new(Budget::default())));
        let limiter = RateLimiter::new(Quota::per_second(50).with_burst(5));
        metrics.register_rate_limiter("tenants", &limiter);
        limiter.try_acquire(2).expect("they conform");
        let keyed = KeyedRateLimiter::new(Quota::per_second(50), 160);
        metrics.register_keyed_rate_limiter("customers", &keyed);
        keyed.try_acquire(Key::of("alice"), 1).expect("it conforms");
        let service = ServiceBuilder::new()
            .layer(BulkheadLayer::new(bulkhead))
            .map_err(Error::<Infallible>::Inner)
            .service(service_fn(|_: http::Request<()>| async { Ok(http::Response::new(())) }));
        service.oneshot(http::Request::new(())).await.expect("there is room");

        let text = metrics.encode();
        for line in [
            "orders_bulkhead_limit{bulkhead=\"reports\"} 3.0",
            "orders_bulkhead_calls_total{bulkhead=\"reports\",outcome=\"admitted\"} 1",
            "orders_bulkhead_calls_total{bulkhead=\"other\",outcome=\"refused\"} 0",
            "orders_shed_limit{shed=\"server\"} 20.0",
            "orders_shed_refused_calls_total{shed=\"server\",priority=\"sheddable\"} 0",
            "orders_hedge_attempts_total{hedge=\"reads\",outcome=\"won\"} 0",
            "orders_rate_limit_available{rate_limit=\"tenants\"} 3.0",
            "orders_rate_limit_permits_per_second{rate_limit=\"tenants\"} 50.0",
            "orders_rate_limit_keys{rate_limit=\"customers\"} 1.0",
            "orders_rate_limit_keys_max{rate_limit=\"customers\"} 160.0",
            "orders_rate_limit_keyed_calls_total{rate_limit=\"customers\",quota=\"shared\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE orders_bulkhead_limit gauge").count(), 1, "{text}");
    }
}
