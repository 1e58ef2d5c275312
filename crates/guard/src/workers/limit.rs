//! How many jobs may run at a time, by what memory there is.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP does with its window: what is too much is
//! taken back fast, what there is room for is tried slowly.

use tokio::time::Instant;

use super::WorkersPolicy;
use super::policy::share;

/// The limit of concurrency.
#[derive(Debug)]
pub(super) struct Limit {
    current: usize,
    changed: Option<Instant>,
}

/// What the limit follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) now: Instant,
    pub(super) resident: u64,
    /// How large the resident set may be: the quota, or less where the cgroup leaves less.
    pub(super) quota: u64,
    pub(super) running: usize,
    pub(super) is_pressed: bool,
}

impl Limit {
    pub(super) fn new(policy: &WorkersPolicy) -> Self {
        Self { current: policy.concurrency_max, changed: None }
    }

    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// Follows a change of the most from `before` to `now`: at once, unless it had to shrink before; then it grows as
    /// ever.
    pub(super) fn set_max(&mut self, before: usize, now: usize) {
        self.current = if self.current >= before { now } else { self.current.min(now) };
    }

    pub(super) fn observe(&mut self, policy: &WorkersPolicy, seen: Seen) {
        let Seen { now, resident, quota, running, is_pressed } = seen;
        // Of those that run, not of the limit: a limit that nobody reaches must not have to shrink many times before it
        // does something, and one that waits for jobs to end must not shrink meanwhile.
        let squeezed = if resident >= quota {
            Some(1)
        } else if is_pressed {
            Some(running / 2)
        } else if resident >= share(quota, policy.shrink_at) {
            Some(running * 3 / 4)
        } else {
            None
        };
        if let Some(wanted) = squeezed {
            self.current = wanted.clamp(1, self.current);
            // Also where nothing was left to shrink: growing has to wait.
            self.changed = Some(now);
        } else if self.current < policy.concurrency_max
            && resident < share(quota, policy.grow_below)
            && self.may_grow(policy, now)
        {
            self.current += 1;
            self.changed = Some(now);
        }
    }

    fn may_grow(&self, policy: &WorkersPolicy, now: Instant) -> bool {
        self.changed.is_none_or(|changed| now.saturating_duration_since(changed) >= policy.grow_every)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use steadfast_base::units::Size;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> WorkersPolicy {
        WorkersPolicy {
            quota: Size::from_bytes(1000),
            concurrency_max: 8,
            grow_every: SECOND,
            ..WorkersPolicy::default()
        }
    }

    fn seen(now: Instant, resident: u64, running: usize, is_pressed: bool) -> Seen {
        Seen { now, resident, quota: 1000, running, is_pressed }
    }

    #[test]
    fn shrinks_before_the_quota_and_again_only_when_it_had_effect() {
        let (policy, now) = (policy(), Instant::now());
        let mut limit = Limit::new(&policy);
        limit.observe(&policy, seen(now, 899, 8, false));
        assert_eq!(limit.current(), 8);
        limit.observe(&policy, seen(now, 900, 8, false));
        assert_eq!(limit.current(), 6);
        limit.observe(&policy, seen(now, 950, 8, false));
        assert_eq!(limit.current(), 6, "eight still run");
        limit.observe(&policy, seen(now, 950, 6, false));
        assert_eq!(limit.current(), 4);
        limit.observe(&policy, seen(now, 1000, 4, false));
        assert_eq!(limit.current(), 1, "at the quota one is left");
    }

    #[test]
    fn halves_on_pressure_whatever_is_resident() {
        let (policy, now) = (policy(), Instant::now());
        let mut limit = Limit::new(&policy);
        limit.observe(&policy, seen(now, 10, 8, true));
        assert_eq!(limit.current(), 4);
        limit.observe(&policy, seen(now, 10, 1, true));
        assert_eq!(limit.current(), 1, "never to nothing");
    }

    #[test]
    fn grows_back_by_one_at_a_time_and_not_in_between() {
        let (policy, mut now) = (policy(), Instant::now());
        let mut limit = Limit::new(&policy);
        limit.observe(&policy, seen(now, 900, 4, false));
        assert_eq!(limit.current(), 3);
        limit.observe(&policy, seen(now + SECOND - SECOND / 100, 0, 3, false));
        assert_eq!(limit.current(), 3, "too soon");
        limit.observe(&policy, seen(now + SECOND, 800, 3, false));
        assert_eq!(limit.current(), 3, "not far enough below");
        for expected in [4, 5, 6, 7, 8, 8] {
            now += SECOND;
            limit.observe(&policy, seen(now, 799, 3, false));
            assert_eq!(limit.current(), expected);
        }
    }

    #[test]
    fn follows_its_most_at_once_unless_it_had_to_shrink() {
        let (policy, now) = (policy(), Instant::now());
        let mut limit = Limit::new(&policy);
        for (before, most, expected) in [(8, 12, 12), (12, 3, 3), (3, 8, 8)] {
            limit.set_max(before, most);
            assert_eq!(limit.current(), expected);
        }
        limit.observe(&policy, seen(now, 900, 8, false));
        assert_eq!(limit.current(), 6);
        limit.set_max(8, 20);
        assert_eq!(limit.current(), 6, "it grows as ever");
        limit.set_max(20, 4);
        assert_eq!(limit.current(), 4);
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds_and_never_grows_when_squeezed(
            steps in proptest::collection::vec((0_u64..1500, 0_usize..12, any::<bool>(), 0_u64..3000), 1..60)
        ) {
            let (policy, mut now) = (policy(), Instant::now());
            let mut limit = Limit::new(&policy);
            for (resident, running, is_pressed, millis) in steps {
                now += Duration::from_millis(millis);
                let before = limit.current();
                limit.observe(&policy, seen(now, resident, running, is_pressed));
                prop_assert!((1..=8).contains(&limit.current()));
                prop_assert!(limit.current() <= before + 1);
                if is_pressed || resident >= 900 {
                    prop_assert!(limit.current() <= before);
                }
            }
        }
    }
}
