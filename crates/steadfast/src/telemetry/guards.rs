//! Bulkheads, load shedding, hedges and rate limiters as metrics, read when they are scraped.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use steadfast_base::Priority;
use steadfast_guard::{Bulkhead, Hedge, KeyedRateLimiter, RateLimiter, Shed, bulkhead, hedge, shed};

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
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let listed = self.0.read();
        let mut text = Text { encoder };
        bulkheads(&mut text, &listed.bulkheads.iter().map(Bulkhead::snapshot).collect::<Vec<_>>())?;
        sheds(&mut text, &listed.sheds.iter().map(Shed::snapshot).collect::<Vec<_>>())?;
        hedges(&mut text, &listed.hedges.iter().map(Hedge::snapshot).collect::<Vec<_>>())?;
        limiters(&mut text, &listed.limiters)?;
        keyed_limiters(&mut text, &listed.keyed_limiters)
    }
}

fn bulkheads(text: &mut Text<'_>, all: &[bulkhead::Snapshot]) -> fmt::Result {
    let name = |seen: &bulkhead::Snapshot| seen.name.clone();
    text.gauge("bulkhead_limit", "The most calls at a time", None, all, "bulkhead", name, |seen| {
        Some(f64::from(seen.concurrency_max))
    })?;
    text.gauge("bulkhead_in_flight", "Calls under way", None, all, "bulkhead", name, |seen| {
        Some(f64::from(seen.in_flight))
    })?;
    text.gauge("bulkhead_queued", "Calls that wait", None, all, "bulkhead", name, |seen| {
        Some(seen.queued as f64)
    })?;
    let outcomes = |seen: &bulkhead::Snapshot| vec![("admitted", seen.admitted), ("refused", seen.refused)];
    text.counter("bulkhead_calls", "Calls by outcome", all, ["bulkhead", "outcome"], name, outcomes)
}

fn sheds(text: &mut Text<'_>, all: &[shed::Snapshot]) -> fmt::Result {
    let name = |seen: &shed::Snapshot| seen.name.clone();
    text.gauge("shed_limit", "The most calls at a time, for now", None, all, "shed", name, |seen| {
        Some(f64::from(seen.limit))
    })?;
    let help = "The latency without load";
    text.gauge("shed_baseline", help, Some(&Unit::Seconds), all, "shed", name, |seen| {
        seen.baseline.map(|baseline| baseline.as_secs_f64())
    })?;
    text.gauge("shed_in_flight", "Calls under way", None, all, "shed", name, |seen| {
        Some(f64::from(seen.in_flight))
    })?;
    text.gauge("shed_queued", "Calls that wait", None, all, "shed", name, |seen| Some(seen.queued as f64))?;
    let outcomes =
        |seen: &shed::Snapshot| vec![("admitted", seen.admitted), ("refused", seen.shed.iter().sum())];
    text.counter("shed_calls", "Calls by outcome", all, ["shed", "outcome"], name, outcomes)?;
    let priorities = |seen: &shed::Snapshot| {
        Priority::ALL.iter().map(|priority| priority.name()).zip(seen.shed).collect::<Vec<_>>()
    };
    text.counter(
        "shed_refused_calls",
        "Calls refused by priority",
        all,
        ["shed", "priority"],
        name,
        priorities,
    )
}

fn hedges(text: &mut Text<'_>, all: &[hedge::Snapshot]) -> fmt::Result {
    let name = |seen: &hedge::Snapshot| seen.name.clone();
    let help = "After how long a second attempt is made";
    text.gauge("hedge_delay", help, Some(&Unit::Seconds), all, "hedge", name, |seen| {
        seen.delay.map(|delay| delay.as_secs_f64())
    })?;
    let answers = |seen: &hedge::Snapshot| vec![("answered", seen.answers)];
    text.counter("hedge_calls", "Calls that may be hedged", all, ["hedge", "outcome"], name, answers)?;
    let attempts =
        |seen: &hedge::Snapshot| vec![("won", seen.won), ("not_won", seen.hedged.saturating_sub(seen.won))];
    text.counter("hedge_attempts", "Second attempts by outcome", all, ["hedge", "outcome"], name, attempts)
}

fn limiters(text: &mut Text<'_>, all: &[(Box<str>, RateLimiter)]) -> fmt::Result {
    let name = |(name, _): &(Box<str>, RateLimiter)| name.to_string();
    let label = "rate_limit";
    text.gauge(
        "rate_limit_available",
        "Permits that conform now",
        None,
        all,
        label,
        name,
        |(_, limiter)| Some(f64::from(limiter.available())),
    )?;
    text.gauge("rate_limit_burst", "The most permits at a time", None, all, label, name, |(_, limiter)| {
        Some(f64::from(limiter.quota().burst()))
    })?;
    let help = "Permits per second";
    text.gauge("rate_limit_permits_per_second", help, None, all, label, name, |(_, limiter)| {
        let quota = limiter.quota();
        Some(f64::from(quota.permits()) / quota.window().as_secs_f64())
    })
}

fn keyed_limiters(text: &mut Text<'_>, all: &[(Box<str>, KeyedRateLimiter)]) -> fmt::Result {
    let name = |(name, _): &(Box<str>, KeyedRateLimiter)| name.to_string();
    let label = "rate_limit";
    text.gauge("rate_limit_keys", "Keys that are remembered", None, all, label, name, |(_, limiter)| {
        Some(limiter.keys() as f64)
    })?;
    let help = "The most keys that are remembered";
    text.gauge("rate_limit_keys_max", help, None, all, label, name, |(_, limiter)| {
        Some(limiter.keys_max() as f64)
    })?;
    let help = "Calls of keys for which there was no place, so that they shared a quota";
    text.counter("rate_limit_keyed_calls", help, all, [label, "quota"], name, |(_, limiter)| {
        vec![("shared", limiter.strange())]
    })
}

/// The text that metrics are written to. A metric of which there is none is left out.
struct Text<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Text<'_> {
    #[allow(clippy::too_many_arguments, reason = "it is a table of few rows")]
    fn gauge<T>(
        &mut self,
        metric: &str,
        help: &str,
        unit: Option<&Unit>,
        all: &[T],
        label: &str,
        name: impl Fn(&T) -> String,
        value: impl Fn(&T) -> Option<f64>,
    ) -> fmt::Result {
        if all.is_empty() {
            return Ok(());
        }
        let mut gauge = self.encoder.encode_descriptor(metric, help, unit, MetricType::Gauge)?;
        for one in all {
            if let Some(value) = value(one) {
                let labels = [(label, name(one))];
                ConstGauge::new(value).encode(gauge.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn counter<T>(
        &mut self,
        metric: &str,
        help: &str,
        all: &[T],
        [label, what]: [&str; 2],
        name: impl Fn(&T) -> String,
        values: impl Fn(&T) -> Vec<(&'static str, u64)>,
    ) -> fmt::Result {
        if all.is_empty() {
            return Ok(());
        }
        let mut counter = self.encoder.encode_descriptor(metric, help, None, MetricType::Counter)?;
        for one in all {
            for (kind, value) in values(one) {
                let labels = [(label, name(one)), (what, kind.to_owned())];
                ConstCounter::new(value).encode(counter.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
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
