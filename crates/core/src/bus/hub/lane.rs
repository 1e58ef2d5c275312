use std::sync::Arc;

/// Which lane a message takes, and how long a lane may be passed over.
pub(in crate::bus) struct Laned<M> {
    pub(in crate::bus) count: usize,
    pub(in crate::bus) starve_after: u32,
    pub(in crate::bus) rule: Arc<dyn Fn(&M) -> usize + Send + Sync>,
}

/// Whose turn it is among several that have something to give: the most urgent one, or of several equally urgent
/// ones the one served longest ago; but each is served at least once in `within` turns in which it had something.
///
/// A member that has been passed over so often that, with the others in its place, waiting any longer would break
/// the promise goes first: the earliest deadline first, as late as it can be kept.
#[derive(Debug)]
pub(in crate::bus) struct Turns {
    within: u32,
    members: Vec<Member>,
    turn: u64,
}

#[derive(Debug, Clone)]
struct Member {
    /// 0 is the most urgent.
    priority: u32,
    /// How many turns it has been passed over though it had something.
    passed: u32,
    served: u64,
}

impl Turns {
    /// Makes turns for members of these priorities, each to be served at least once in `within` turns, which is at
    /// least how many they are.
    pub(in crate::bus) fn new(priorities: impl IntoIterator<Item = u32>, within: u32) -> Self {
        let members: Vec<_> =
            priorities.into_iter().map(|priority| Member { priority, passed: 0, served: 0 }).collect();
        Self { within: within.max(members.len() as u32), members, turn: 0 }
    }

    /// Returns whose turn it is, given who has something.
    pub(in crate::bus) fn next(&mut self, has: impl Fn(usize) -> bool) -> Option<usize> {
        self.turn += 1;
        for (at, member) in self.members.iter_mut().enumerate() {
            if !has(at) {
                member.passed = 0;
            }
        }
        let ready = || (0..self.members.len()).filter(|at| has(*at));
        let slack = |at: usize| self.within - self.members[at].passed;
        let earliest = ready().min_by_key(|at| (slack(*at), self.members[*at].priority));
        // Those that must be served within the next n turns are n: none of them can be passed over any more.
        let forced = ready()
            .any(|at| ready().filter(|other| slack(*other) <= slack(at)).count() >= slack(at) as usize);
        let most_urgent = ready().min_by_key(|at| (self.members[*at].priority, self.members[*at].served));
        let chosen = if forced { earliest } else { most_urgent }?;
        for at in 0..self.members.len() {
            if has(at) {
                self.members[at].passed += 1;
            }
        }
        self.members[chosen].passed = 0;
        self.members[chosen].served = self.turn;
        Some(chosen)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_most_urgent_goes_first_and_equals_take_turns() {
        let mut turns = Turns::new([0, 1, 1], 100);
        let mut left = [2, 2, 2];
        let order: Vec<_> = std::iter::from_fn(|| {
            let at = turns.next(|at| left[at] > 0)?;
            left[at] -= 1;
            Some(at)
        })
        .collect();
        assert_eq!(order, [0, 0, 1, 2, 1, 2]);
    }

    #[test]
    fn a_lane_that_always_has_something_is_passed_over_no_longer_than_promised() {
        let mut turns = Turns::new([0, 1, 2], 5);
        let order: Vec<_> = (0..10).filter_map(|_| turns.next(|_| true)).collect();
        assert_eq!(order, [0, 0, 0, 1, 2, 0, 0, 0, 1, 2]);
    }

    proptest! {
        /// Whoever has something all the time is served at least once in as many turns as was promised.
        #[test]
        fn nobody_starves(
            priorities in prop::collection::vec(0_u32..3, 1..6),
            within in 1_u32..9,
            has in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.8), 6), 1..200),
        ) {
            let within = within.max(priorities.len() as u32);
            let mut waited = vec![0; priorities.len()];
            let mut turns = Turns::new(priorities.clone(), within);
            for has in has {
                let chosen = turns.next(|at| has[at]);
                prop_assert_eq!(chosen.is_some(), has[..priorities.len()].contains(&true));
                for (at, waited) in waited.iter_mut().enumerate() {
                    *waited = if has[at] && chosen != Some(at) { *waited + 1 } else { 0 };
                    prop_assert!(*waited < within, "{at} waits for {waited} turns of {within}");
                }
                prop_assert!(chosen.is_none_or(|at| has[at]));
            }
        }
    }
}
