use std::time::Duration;

/// A span of time since the start of the load: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its begin.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

impl Window {
    /// Creates the window from `from` until before `to`; empty where `to` does not lie behind `from`.
    pub const fn new(from: Duration, to: Duration) -> Self {
        Self { from, to }
    }

    /// Returns the window of `length` that ends at `end`, cut at the start of the load.
    pub const fn until(end: Duration, length: Duration) -> Self {
        Self { from: end.saturating_sub(length), to: end }
    }

    /// Returns how long it is.
    pub const fn length(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    /// Tells whether `at` lies in it.
    pub fn contains(&self, at: Duration) -> bool {
        self.from <= at && at < self.to
    }
}

impl From<std::ops::Range<Duration>> for Window {
    fn from(range: std::ops::Range<Duration>) -> Self {
        Self { from: range.start, to: range.end }
    }
}
