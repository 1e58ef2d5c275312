//! Circuit breakers as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use steadfast_guard::Registry;
use steadfast_guard::breaker::Phase;

use super::text::Text;

#[derive(Debug)]
pub(super) struct Collector {
    breakers: Registry,
}

impl Collector {
    pub(super) fn new(breakers: Registry) -> Self {
        Self { breakers }
    }
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.breakers.list();
        let mut text =
            Text { encoder: &mut encoder, all: &all, label: "breaker", name: |breaker| &breaker.name };
        let help = "Whether the breaker is open: 0 closed, 0.5 half-open, 1 open";
        text.gauge("breaker_open", help, |breaker| match breaker.phase {
            Phase::Closed => 0.0,
            Phase::HalfOpen => 0.5,
            Phase::Open => 1.0,
        })?;
        text.counters("breaker_calls", "Calls by outcome", "outcome", |breaker| {
            let counts = breaker.counts;
            vec![
                ("succeeded", counts.succeeded),
                ("failed", counts.failed),
                ("abandoned", counts.abandoned),
                ("refused", counts.refused),
            ]
        })?;
        let help = "Calls that were slow, however they ended";
        text.counter("breaker_slow_calls", help, None, |breaker| breaker.counts.slow)?;
        text.gauge("breaker_in_flight", "Calls under way", |breaker| breaker.in_flight as i64)?;
        text.counter("breaker_opened", "How often the breaker opened", None, |breaker| breaker.counts.opened)
    }
}

#[cfg(test)]
mod tests {
    use steadfast_guard::BreakerPolicy;

    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn shows_what_each_breaker_has_seen() {
        let (metrics, breakers) = (Metrics::new("orders"), Registry::default());
        metrics.register_breakers(breakers.clone());
        let payment = breakers.breaker("payment", BreakerPolicy::default());
        payment.acquire(None).expect("it is closed").succeed();
        payment.open();
        assert!(payment.acquire(None).is_err());
        let text = metrics.encode();
        for line in [
            "orders_breaker_open{breaker=\"payment\"} 1.0",
            "orders_breaker_calls_total{breaker=\"payment\",outcome=\"succeeded\"} 1",
            "orders_breaker_calls_total{breaker=\"payment\",outcome=\"refused\"} 1",
            "orders_breaker_slow_calls_total{breaker=\"payment\"} 0",
            "orders_breaker_in_flight{breaker=\"payment\"} 0",
            "orders_breaker_opened_total{breaker=\"payment\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
