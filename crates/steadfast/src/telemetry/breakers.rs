//! Circuit breakers as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use steadfast_guard::Registry;
use steadfast_guard::breaker::Phase;

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
        let breakers = self.breakers.list();

        let help = "Whether the breaker is open: 0 closed, 0.5 half-open, 1 open";
        let mut open = encoder.encode_descriptor("breaker_open", help, None, MetricType::Gauge)?;
        for breaker in &breakers {
            let value = match breaker.phase {
                Phase::Closed => 0.0,
                Phase::HalfOpen => 0.5,
                Phase::Open => 1.0,
            };
            let labels = [("breaker", breaker.name.as_str())];
            ConstGauge::new(value).encode(open.encode_family(&labels)?)?;
        }

        let help = "Calls by outcome";
        let mut calls = encoder.encode_descriptor("breaker_calls", help, None, MetricType::Counter)?;
        for breaker in &breakers {
            let counts = breaker.counts;
            for (outcome, count) in [
                ("succeeded", counts.succeeded),
                ("failed", counts.failed),
                ("abandoned", counts.abandoned),
                ("refused", counts.refused),
            ] {
                let labels = [("breaker", breaker.name.as_str()), ("outcome", outcome)];
                ConstCounter::new(count).encode(calls.encode_family(&labels)?)?;
            }
        }

        let help = "Calls that were slow, however they ended";
        let mut slow = encoder.encode_descriptor("breaker_slow_calls", help, None, MetricType::Counter)?;
        for breaker in &breakers {
            let labels = [("breaker", breaker.name.as_str())];
            ConstCounter::new(breaker.counts.slow).encode(slow.encode_family(&labels)?)?;
        }

        let help = "Calls under way";
        let mut under_way = encoder.encode_descriptor("breaker_in_flight", help, None, MetricType::Gauge)?;
        for breaker in &breakers {
            let labels = [("breaker", breaker.name.as_str())];
            ConstGauge::new(breaker.in_flight as i64).encode(under_way.encode_family(&labels)?)?;
        }

        let help = "How often the breaker opened";
        let mut opened = encoder.encode_descriptor("breaker_opened", help, None, MetricType::Counter)?;
        for breaker in &breakers {
            let labels = [("breaker", breaker.name.as_str())];
            ConstCounter::new(breaker.counts.opened).encode(opened.encode_family(&labels)?)?;
        }
        Ok(())
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
