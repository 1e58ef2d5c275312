//! Who of a group is there and who has which shard: one document, changed by compare-and-set. No I/O, and no clock:
//! a member is alive while its beat changes, as each observer sees for itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sharded::Member;

/// The document of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Roll {
    /// The members and the renewal by which each last said that it is there.
    members: BTreeMap<String, u64>,
    /// How many renewals there were, of all members: so that whoever was taken out and comes back is never mistaken
    /// for who it was before.
    #[serde(default)]
    renewals: u64,
    /// The lease of each member, in milliseconds.
    #[serde(default)]
    leases: BTreeMap<String, u64>,
    /// The shards that have an owner.
    owners: BTreeMap<u32, String>,
}

impl Roll {
    /// Notes that `me` is there and has `lease`, that those of `dead` are not, and that `me` gives `given` back; then
    /// takes shards that are free, up to the fair share. Of n shards and m members each gets n / m, those first in
    /// order of their names one more.
    pub(super) fn renew(&mut self, me: &str, lease: Duration, dead: &[Member], given: &[u32], shards: u32) {
        self.members.retain(|name, _| name == me || !dead.iter().any(|dead| dead.name == *name));
        self.renewals += 1;
        self.members.insert(me.to_owned(), self.renewals);
        self.leases.insert(me.to_owned(), u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        let members = &self.members;
        self.leases.retain(|name, _| members.contains_key(name));
        self.owners.retain(|shard, owner| {
            *shard < shards && members.contains_key(owner) && !(owner == me && given.contains(shard))
        });
        let quota = self.quota(me, shards);
        for shard in 0..shards {
            if self.owned(me).len() >= quota {
                break;
            }
            self.owners.entry(shard).or_insert_with(|| me.to_owned());
        }
    }

    /// Takes `me` out.
    pub(super) fn leave(&mut self, me: &str) {
        self.members.remove(me);
        self.leases.remove(me);
        self.owners.retain(|_, owner| owner != me);
    }

    /// Returns how many shards are the fair share of `me`.
    pub(super) fn quota(&self, me: &str, shards: u32) -> usize {
        let (shards, members) = (shards as usize, self.members.len().max(1));
        let rank = self.members.keys().take_while(|name| *name != me).count();
        shards / members + usize::from(rank < shards % members)
    }

    /// Says whether the last renewal was that of `me` by the given number: nobody can have taken anything since.
    pub(super) fn was_last(&self, me: &str, renewals: u64) -> bool {
        self.renewals == renewals && self.members.get(me) == Some(&renewals)
    }

    /// Returns how many renewals there were.
    pub(super) fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Returns the members; those that did not say theirs have the usual `lease`.
    pub(super) fn members(&self, lease: Duration) -> Vec<Member> {
        let lease = |name: &str| self.leases.get(name).map_or(lease, |lease| Duration::from_millis(*lease));
        let members = self.members.iter();
        members.map(|(name, beat)| Member { name: name.clone(), beat: *beat, lease: lease(name) }).collect()
    }

    pub(super) fn owned(&self, me: &str) -> Vec<u32> {
        self.owners.iter().filter(|(_, owner)| *owner == me).map(|(shard, _)| *shard).collect()
    }

    /// Says whether somebody has come, gone, or taken something since `before`.
    pub(super) fn differs_from(&self, before: &Self) -> bool {
        self.owners != before.owners
            || self.leases != before.leases
            || !self.members.keys().eq(before.members.keys())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::sharded::Seen;

    const LEASE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn whoever_is_silent_for_a_lease_is_dead_and_loses_its_shards() {
        let mut roll = Roll::default();
        roll.renew("a", LEASE, &[], &[], 4);
        assert_eq!(roll.owned("a"), [0, 1, 2, 3]);
        let mut seen = Seen::default();
        assert!(seen.dead(roll.members(LEASE), Instant::now()).is_empty());
        tokio::time::advance(LEASE - Duration::from_millis(1)).await;
        assert!(seen.dead(roll.members(LEASE), Instant::now()).is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        let dead = seen.dead(roll.members(LEASE), Instant::now());
        assert_eq!(dead.iter().map(|dead| &*dead.name).collect::<Vec<_>>(), ["a"]);
        roll.renew("b", LEASE, &dead, &[], 4);
        assert_eq!((roll.owned("a").len(), roll.owned("b").len()), (0, 4));
        roll.renew("a", LEASE, &[], &[], 4);
        assert!(seen.dead(roll.members(LEASE), Instant::now()).is_empty(), "its beat has changed");
    }

    proptest! {
        /// Whatever happens before, once members give what is beyond their share and renew, each has its share and
        /// every shard an owner.
        #[test]
        fn shares_become_fair(steps in prop::collection::vec((0_usize..6, 0_u8..4), 0..40), shards in 1_u32..20) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let mut roll = Roll::default();
            for (who, what) in steps {
                if what == 0 { roll.leave(names[who]) } else { roll.renew(names[who], LEASE, &[], &[], shards) }
            }
            roll.renew("a", LEASE, &[], &[], shards);
            let members: Vec<String> = roll.members.keys().cloned().collect();
            for _ in 0..2 {
                for me in &members {
                    let owned = roll.owned(me);
                    let surplus = owned.len().saturating_sub(roll.quota(me, shards));
                    roll.renew(me, LEASE, &[], &owned[..surplus], shards);
                }
            }
            let shares: Vec<usize> = members.iter().map(|me| roll.owned(me).len()).collect();
            prop_assert_eq!(shares.iter().sum::<usize>(), shards as usize);
            prop_assert!(shares.iter().max().unwrap_or(&0) - shares.iter().min().unwrap_or(&0) <= 1);
        }
    }
}
