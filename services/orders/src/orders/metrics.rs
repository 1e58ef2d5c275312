//! What the program tells Prometheus beyond HTTP.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::api::Api;
use super::log::{Entry, kind};
use crate::host::Gate;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    r#type: &'static str,
}

/// Counts events as subscribers hear them.
#[derive(Debug, Clone)]
pub(super) struct OrderMetrics {
    events: Family<Labels, Counter>,
}

impl OrderMetrics {
    /// Registers the metrics, those of what stands behind `gate` too.
    pub(super) fn register(registry: &mut Registry, gate: Gate<Api>) -> Self {
        let metrics = Self { events: Family::default() };
        registry.register("events", "Events in the log since the start, by type", metrics.events.clone());
        registry.register_collector(Box::new(Present(gate)));
        metrics
    }

    /// Counts an event.
    pub(super) fn count(&self, entry: &Entry) {
        self.events.get_or_create(&Labels { r#type: kind(entry) }).inc();
    }
}

/// Looks at what is the case when scraped.
struct Present(Gate<Api>);

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(api) = self.0.get() else { return Ok(()) };
        let running = ConstGauge::new(i64::try_from(api.manager.running()).unwrap_or(i64::MAX));
        let help = "Confirmations being carried out";
        running.encode(encoder.encode_descriptor(
            "confirmations_running",
            help,
            None,
            running.metric_type(),
        )?)?;
        let stale = ConstCounter::new(api.stock.substituted());
        let help = "Answers of inventory that stood in for others which did not come";
        stale.encode(encoder.encode_descriptor(
            "stock_answers_substituted",
            help,
            None,
            stale.metric_type(),
        )?)
    }
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present")
    }
}
