//! How what is observed is written as metrics.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// All of one sort in a process, by what shows each: one collector, for a metric must not stand twice in the text.
#[derive(Debug)]
pub(super) struct Listed<P>(Arc<RwLock<Vec<P>>>);

/// Those that guards show.
#[cfg(feature = "guard")]
pub(super) type Probes<S> = Listed<steadfast_guard::Probe<S>>;

impl<P> Listed<P> {
    /// Adds one, and says whether it is the first.
    pub(super) fn add(&self, probe: P) -> bool {
        let mut probes = self.0.write();
        probes.push(probe);
        probes.len() == 1
    }

    /// Looks at each.
    #[cfg(feature = "core")]
    pub(super) fn look<T>(&self, look: impl Fn(&P) -> T) -> Vec<T> {
        self.0.read().iter().map(look).collect()
    }
}

#[cfg(feature = "guard")]
impl<S> Probes<S> {
    pub(super) fn snapshots(&self) -> Vec<S> {
        self.0.read().iter().map(steadfast_guard::Probe::snapshot).collect()
    }
}

impl<P> Clone for Listed<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> Default for Listed<P> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// The text of what was seen of all of one sort, each under its name.
pub(super) struct Text<'e, 'a, S> {
    pub(super) encoder: &'e mut DescriptorEncoder<'a>,
    pub(super) all: &'e [S],
    /// What the label is called that says which one it is.
    pub(super) label: &'static str,
    pub(super) name: fn(&S) -> &str,
}

impl<S> Text<'_, '_, S> {
    pub(super) fn gauge<N: EncodeGaugeValue>(
        &mut self,
        metric: &str,
        help: &str,
        value: impl Fn(&S) -> N,
    ) -> fmt::Result {
        self.maybe_gauge(metric, help, None, |seen| Some(value(seen)))
    }

    /// Writes a gauge, and leaves out those of which there is none.
    pub(super) fn maybe_gauge<N: EncodeGaugeValue>(
        &mut self,
        metric: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl Fn(&S) -> Option<N>,
    ) -> fmt::Result {
        let (label, name) = (self.label, self.name);
        self.each(metric, help, unit, MetricType::Gauge, |gauge, seen| match value(seen) {
            Some(value) => ConstGauge::new(value).encode(gauge.encode_family(&[(label, name(seen))])?),
            None => Ok(()),
        })
    }

    /// Writes a gauge for each kind of something.
    #[cfg(feature = "guard")]
    pub(super) fn gauges<'v>(
        &mut self,
        metric: &str,
        help: &str,
        kind: &str,
        values: impl Fn(&S) -> Vec<(&'v str, u64)>,
    ) -> fmt::Result {
        let (label, name) = (self.label, self.name);
        self.each(metric, help, None, MetricType::Gauge, |gauge, seen| {
            values(seen).into_iter().try_for_each(|(which, value)| {
                let labels = [(label, name(seen)), (kind, which)];
                ConstGauge::new(value).encode(gauge.encode_family(&labels)?)
            })
        })
    }

    pub(super) fn counter<N: EncodeCounterValue>(
        &mut self,
        metric: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl Fn(&S) -> N,
    ) -> fmt::Result {
        let (label, name) = (self.label, self.name);
        self.each(metric, help, unit, MetricType::Counter, |counter, seen| {
            ConstCounter::new(value(seen)).encode(counter.encode_family(&[(label, name(seen))])?)
        })
    }

    /// Writes a counter for each kind of something.
    pub(super) fn counters<'v>(
        &mut self,
        metric: &str,
        help: &str,
        kind: &str,
        values: impl Fn(&S) -> Vec<(&'v str, u64)>,
    ) -> fmt::Result {
        let (label, name) = (self.label, self.name);
        self.each(metric, help, None, MetricType::Counter, |counter, seen| {
            values(seen).into_iter().try_for_each(|(which, value)| {
                let labels = [(label, name(seen)), (kind, which)];
                ConstCounter::new(value).encode(counter.encode_family(&labels)?)
            })
        })
    }

    /// Writes the head of a metric, and what `write` writes of each. Nothing where there is none.
    pub(super) fn each(
        &mut self,
        metric: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        write: impl Fn(&mut MetricEncoder<'_>, &S) -> fmt::Result,
    ) -> fmt::Result {
        if self.all.is_empty() {
            return Ok(());
        }
        let mut encoder = self.encoder.encode_descriptor(metric, help, unit, kind)?;
        self.all.iter().try_for_each(|seen| write(&mut encoder, seen))
    }
}
