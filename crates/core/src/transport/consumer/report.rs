use crate::delivery::HandlingMetrics;

/// What one run of a [`Consumer`](super::Consumer) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many events were handled.
    pub handled: u64,
    /// How many became dead letters.
    pub dead: u64,
    /// How many were parked behind a dead letter of their key.
    pub parked: u64,
    /// How many went back to the transport unhandled.
    pub released: u64,
    /// How many settlements the transport was not told: it hands these events out again.
    pub untold: u64,
}

impl Report {
    pub(super) fn new(metrics: HandlingMetrics, unattempted: u64, released: u64, untold: u64) -> Self {
        let HandlingMetrics { handled, dead, parked, .. } = metrics;
        Self { handled, dead: dead + unattempted, parked, released, untold }
    }
}
