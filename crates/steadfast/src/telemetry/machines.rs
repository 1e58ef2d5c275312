//! What was asked of state machines as metrics, read when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use steadfast_core::machine::Probe;

use super::text::{Listed, Text};

impl Collector for Listed<Probe> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.look(|probe| (probe.name().to_owned(), probe.snapshot()));
        let mut text = Text { encoder: &mut encoder, all: &all, label: "machine", name: |(name, _)| name };
        let help = "Commands by the state in which they came, and whether it allowed them";
        text.each("machine_commands", help, None, MetricType::Counter, |counter, (name, counts)| {
            counts.iter().try_for_each(|count| {
                let outcome = if count.is_allowed { "allowed" } else { "refused" };
                let labels = [
                    ("machine", name.as_str()),
                    ("state", count.state),
                    ("command", count.command),
                    ("outcome", outcome),
                ];
                ConstCounter::new(count.times).encode(counter.encode_family(&labels)?)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::machine::{Control, Lifecycle, Tally};

    use crate::telemetry::Metrics;

    #[test]
    fn shows_what_was_asked_of_each_machine() {
        let metrics = Metrics::new("orders");
        let (first, other) = (Tally::<Lifecycle>::new("first"), Tally::<Lifecycle>::new("other"));
        metrics.register_machine(first.probe());
        metrics.register_machine(other.probe());
        let running = first.next(Lifecycle::Initial, Control::Start).expect("allowed");
        for _ in 0..2 {
            first.next(running, Control::Start).expect_err("refused");
        }
        other.count(running, Control::Pause);
        let text = metrics.encode();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("machine_commands_total{")).collect();
        let expected = [
            "orders_machine_commands_total{machine=\"first\",state=\"initial\",command=\"start\",outcome=\"allowed\"} 1",
            "orders_machine_commands_total{machine=\"first\",state=\"running\",command=\"start\",outcome=\"refused\"} 2",
            "orders_machine_commands_total{machine=\"other\",state=\"running\",command=\"pause\",outcome=\"allowed\"} 1",
        ];
        assert_eq!(lines, expected, "{text}");
    }
}
