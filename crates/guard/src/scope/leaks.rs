//! Which tasks look like leaks. Pure: what is alive at each inspection goes in, findings come out.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use steadfast_base::units::format_duration;
use tokio::time::Instant;

use super::ScopePolicy;
use super::table::About;

/// What an inspection found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaks {
    /// Groups that have tasks with a deadline which are older than the policy allows.
    pub old: Vec<Old>,
    /// Groups that have more and more tasks.
    pub growing: Vec<Growing>,
}

/// Tasks of one name, spawned at one place, that are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Old {
    /// Their name.
    pub name: &'static str,
    /// Where they were spawned.
    pub spawned_at: &'static Location<'static>,
    /// How many are old.
    pub tasks: usize,
    /// The age of the oldest.
    pub oldest: Duration,
}

/// Tasks of one name, spawned at one place, of which there are more and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Growing {
    /// Their name.
    pub name: &'static str,
    /// Where they are spawned.
    pub spawned_at: &'static Location<'static>,
    /// How many had outlived an interval at the first inspection of the window.
    pub from: usize,
    /// How many have now.
    pub to: usize,
}

impl fmt::Display for Old {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, place, oldest) = (self.name, self.spawned_at, format_duration(self.oldest));
        write!(f, "{} × {name} ({place}), the oldest {oldest}", self.tasks)
    }
}

impl fmt::Display for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) from {} to {}", self.name, self.spawned_at, self.from, self.to)
    }
}

/// Those that one line spawned under one name.
type Group = (&'static str, &'static Location<'static>);

/// Looks at the tasks of a scope time after time.
#[derive(Debug)]
pub(super) struct Inspector {
    policy: ScopePolicy,
    /// How many tasks of each group had outlived an interval, the latest inspection last.
    histories: BTreeMap<Group, VecDeque<usize>>,
}

impl Inspector {
    pub(super) fn new(policy: ScopePolicy) -> Self {
        Self { policy, histories: BTreeMap::new() }
    }

    /// Goes by `policy` from now on. What outlived an interval of another length says nothing about growth, and is
    /// forgotten.
    pub(super) fn set_policy(&mut self, policy: ScopePolicy) {
        if policy.inspect_every != self.policy.inspect_every {
            self.histories.clear();
        }
        self.policy = policy;
    }

    pub(super) fn inspect(&mut self, now: Instant, alive: &[About]) -> Leaks {
        let mut old = BTreeMap::<Group, Old>::new();
        let mut survivors = BTreeMap::<Group, usize>::new();
        for task in alive {
            let (group, age) = ((task.name, task.spawned_at), now.saturating_duration_since(task.started));
            if age >= self.policy.inspect_every {
                *survivors.entry(group).or_default() += 1;
            }
            if task.deadline.is_some() && age >= self.policy.old_after {
                let (name, spawned_at) = group;
                let found = old.entry(group).or_insert(Old { name, spawned_at, tasks: 0, oldest: age });
                found.tasks += 1;
                found.oldest = found.oldest.max(age);
            }
        }
        for group in survivors.keys() {
            self.histories.entry(*group).or_default();
        }
        let window = self.policy.growth_window;
        let mut growing = Vec::new();
        self.histories.retain(|&group, history| {
            while history.len() >= window {
                history.pop_front();
            }
            history.push_back(survivors.get(&group).copied().unwrap_or(0));
            if history.len() == window && is_growing(history) {
                let (name, spawned_at) = group;
                growing.push(Growing { name, spawned_at, from: history[0], to: history[window - 1] });
            }
            history.iter().any(|count| *count > 0)
        });
        Leaks { old: old.into_values().collect(), growing }
    }
}

/// Says whether the fewest of the younger half are more than the most of the older half.
fn is_growing(history: &VecDeque<usize>) -> bool {
    let half = history.len() / 2;
    let most = history.iter().take(half).max();
    let fewest = history.iter().skip(half).min();
    fewest > most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const POLICY: ScopePolicy = ScopePolicy {
        tasks_max: 1000,
        abort_within: SECOND,
        old_after: Duration::from_secs(60),
        inspect_every: SECOND,
        growth_window: 6,
        slow_poll: None,
    };

    #[track_caller]
    fn tasks(count: usize, started: Instant, deadline: Option<steadfast_base::Deadline>) -> Vec<About> {
        let spawned_at = Location::caller();
        (0..count).map(|_| About { name: "test", spawned_at, started, deadline }).collect()
    }

    /// Returns the findings of the last inspection, when `counts` tasks are alive at each.
    fn grown(counts: &[usize]) -> Vec<Growing> {
        let (start, mut inspector) = (Instant::now(), Inspector::new(POLICY));
        let mut found = Leaks::default();
        for (at, count) in counts.iter().enumerate() {
            let now = start + SECOND * (at as u32 + 1);
            found = inspector.inspect(now, &tasks(*count, start, None));
        }
        found.growing
    }

    #[test]
    fn growth_is_told_with_its_place_and_not_before_the_window_is_full() {
        assert!(grown(&[1, 2, 3, 4, 5]).is_empty());
        let found = grown(&[1, 2, 3, 4, 5, 6]);
        assert_eq!((found[0].from, found[0].to), (1, 6));
        assert!(found[0].to_string().contains("leaks.rs"), "{}", found[0]);
    }

    #[test]
    fn a_load_that_goes_up_and_down_is_no_leak() {
        assert!(grown(&[5, 9, 5, 9, 5, 9]).is_empty());
        assert!(grown(&[1, 2, 3, 4, 5, 3]).is_empty());
        assert!(grown(&[1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6]).is_empty(), "it has stopped growing");
    }

    #[test]
    fn tasks_that_have_not_outlived_an_interval_do_not_count() {
        let mut inspector = Inspector::new(POLICY);
        let mut now = Instant::now();
        for count in 1..20 {
            now += SECOND;
            let young = tasks(count, now - SECOND / 2, None);
            assert_eq!(inspector.inspect(now, &young), Leaks::default());
        }
        assert!(inspector.histories.is_empty(), "a group that is gone is forgotten");
    }

    #[test]
    fn growth_is_judged_by_a_shorter_window_at_once_and_anew_by_another_interval() {
        let (start, mut inspector) = (Instant::now(), Inspector::new(POLICY));
        let mut at = 0;
        let mut inspect = |inspector: &mut Inspector| {
            at += 1;
            inspector.inspect(start + SECOND * at, &tasks(at as usize, start, None)).growing.len()
        };
        assert_eq!((0..5).map(|_| inspect(&mut inspector)).sum::<usize>(), 0);
        inspector.set_policy(ScopePolicy { growth_window: 2, ..POLICY });
        assert_eq!(inspect(&mut inspector), 1, "the last two are enough");
        inspector.set_policy(ScopePolicy { growth_window: 2, inspect_every: SECOND / 2, ..POLICY });
        assert_eq!(inspect(&mut inspector), 0, "one of the new interval");
        assert_eq!(inspect(&mut inspector), 1);
    }

    #[test]
    fn only_tasks_with_a_deadline_are_old_and_not_before_their_time() {
        let (start, mut inspector) = (Instant::now(), Inspector::new(POLICY));
        let deadline = Some(steadfast_base::Deadline::at(start + SECOND));
        let alive = [tasks(2, start, deadline), tasks(3, start, None)].concat();
        assert!(inspector.inspect(start + 59 * SECOND, &alive).old.is_empty());
        let found = inspector.inspect(start + 60 * SECOND, &alive).old;
        assert_eq!((found.len(), found[0].tasks, found[0].oldest), (1, 2, 60 * SECOND));
    }

    proptest! {
        #[test]
        fn what_only_grows_is_found(steps in proptest::collection::vec(1_usize..5, 6..20)) {
            let counts: Vec<usize> =
                steps.iter().scan(0, |sum, step| { *sum += step; Some(*sum) }).collect();
            prop_assert_eq!(grown(&counts).len(), 1);
        }

        #[test]
        fn what_does_not_grow_is_not_found(mut counts in proptest::collection::vec(0_usize..50, 1..20)) {
            counts.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert!(grown(&counts).is_empty());
        }
    }
}
