use std::time::{Duration, SystemTime};

/// When a snapshot of a stream is taken: as soon as one of the limits is reached that are set. None is by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotPolicy {
    /// After this many events since the last one; 0 counts as 1.
    pub every_events: Option<u64>,
    /// After events with this many bytes of data since the last one.
    pub every_bytes: Option<u64>,
    /// When the last one, or the first event after which there is none, is this old and there are newer events.
    pub every: Option<Duration>,
}

/// What has happened to a stream since its last snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since {
    /// How many events.
    pub events: u64,
    /// How many bytes of data they have.
    pub bytes: u64,
    /// When the snapshot was taken; without one, when the first event happened.
    pub time: Option<SystemTime>,
}

impl SnapshotPolicy {
    /// Takes a snapshot after `events` events.
    pub fn every_events(events: u64) -> Self {
        Self { every_events: Some(events), ..Self::default() }
    }

    /// Says whether one is due at `now`.
    pub fn is_due(&self, since: &Since, now: SystemTime) -> bool {
        let reached = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value >= limit.max(1));
        let age = || since.time.and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
        since.events > 0
            && (reached(self.every_events, since.events)
                || reached(self.every_bytes, since.bytes)
                || self.every.is_some_and(|every| age() >= every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_counts_and_nothing_new_needs_none() {
        let start = SystemTime::UNIX_EPOCH;
        let since = Since { events: 9, bytes: 99, time: Some(start) };
        let later = start + Duration::from_secs(60);
        let bytes = |bytes| SnapshotPolicy { every_bytes: Some(bytes), ..SnapshotPolicy::default() };
        let every = |every| SnapshotPolicy { every: Some(every), ..SnapshotPolicy::default() };
        for (policy, due) in [
            (SnapshotPolicy::default(), false),
            (SnapshotPolicy::every_events(9), true),
            (SnapshotPolicy::every_events(10), false),
            (bytes(99), true),
            (bytes(100), false),
            (every(Duration::from_secs(60)), true),
            (every(Duration::from_secs(61)), false),
            (SnapshotPolicy { every_events: Some(9), ..bytes(100) }, true),
        ] {
            assert_eq!(policy.is_due(&since, later), due, "{policy:?}");
            assert!(!policy.is_due(&Since { time: Some(start), ..Since::default() }, later), "{policy:?}");
        }
    }
}
