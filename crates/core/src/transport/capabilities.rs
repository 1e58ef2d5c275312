use crate::store::Durability;

/// The order in which events are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ordering {
    /// Any order.
    Unordered,
    /// Events of one partition key in the order in which they were sent.
    PerKey,
    /// All events in one order.
    Total,
}

/// What a transport can do; the conformance suite runs what is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The order in which one receiver receives; with several receivers in a group, of what each one gets.
    pub order: Ordering,
    /// The highest durability that sending can achieve; [`Durability::Accepted`] for a transport that forgets.
    pub durability_max: Durability,
    /// Receivers that name the same group share its events, and one key stays with one receiver at a time if
    /// `order` is [`Ordering::PerKey`].
    pub groups: bool,
    /// A subscription can start at the oldest event that is kept, not only at new ones.
    pub seek: bool,
    /// Sending an event again, with the same id, within the transport's stated memory stores it once.
    pub deduplicates: bool,
    /// Where a group has got to is kept by the transport, so that a new receiver of the group goes on there.
    pub resumes: bool,
}

impl Capabilities {
    /// Declares a transport that can do nothing beyond carrying events in `order` with `durability_max`.
    pub const fn new(order: Ordering, durability_max: Durability) -> Self {
        Self { order, durability_max, groups: false, seek: false, deduplicates: false, resumes: false }
    }

    /// Declares consumer groups.
    #[must_use]
    pub const fn groups(mut self) -> Self {
        self.groups = true;
        self
    }

    /// Declares that a subscription can start at the oldest event.
    #[must_use]
    pub const fn seek(mut self) -> Self {
        self.seek = true;
        self
    }

    /// Declares that an event sent twice is stored once.
    #[must_use]
    pub const fn deduplicates(mut self) -> Self {
        self.deduplicates = true;
        self
    }

    /// Declares that a group goes on where it was.
    #[must_use]
    pub const fn resumes(mut self) -> Self {
        self.resumes = true;
        self
    }
}
