use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// A member of a group, as its sign of life says.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Changes with each sign of life.
    pub(crate) beat: u64,
    /// For how long its shards are its own without another one.
    pub(crate) lease: Duration,
}

/// What one member has seen of the others. A member is alive while its beat changes, as each observer sees for itself
/// by its own monotonic clock: nobody's wall clock, set forward, makes anybody dead.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<String, Sign>);

/// A sign of life.
#[derive(Debug)]
struct Sign {
    beat: u64,
    /// When it is too old.
    until: Instant,
}

impl Seen {
    /// Looks at who is in the group at `now`; returns those whose beat has not changed for their lease.
    pub(crate) fn dead(&mut self, members: Vec<Member>, now: Instant) -> Vec<Member> {
        self.0.retain(|name, _| members.iter().any(|member| member.name == *name));
        let is_dead = |member: &Member| {
            let sign = || Sign { beat: member.beat, until: now + member.lease };
            let seen = self.0.entry(member.name.clone()).or_insert_with(sign);
            if seen.beat != member.beat {
                *seen = sign();
            }
            now >= seen.until
        };
        members.into_iter().filter(is_dead).collect()
    }

    /// Returns when somebody is dead, if nobody gives a sign of life until then.
    #[cfg(feature = "redis")]
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().map(|sign| sign.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, beat: u64, seconds: u64) -> Member {
        Member { name: name.to_owned(), beat, lease: Duration::from_secs(seconds) }
    }

    fn names(dead: Vec<Member>) -> Vec<String> {
        dead.into_iter().map(|member| member.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_dead_after_its_own_lease_without_a_beat() {
        let mut seen = Seen::default();
        let mut at = |seconds, beat| {
            let members = vec![member("patient", 1, 60), member("hasty", beat, 10)];
            names(seen.dead(members, Instant::now() + Duration::from_secs(seconds)))
        };
        assert!(at(0, 1).is_empty());
        assert!(at(9, 1).is_empty());
        assert_eq!(at(10, 1), ["hasty"]);
        assert!(at(10, 2).is_empty(), "its beat has changed");
        assert!(at(19, 2).is_empty());
        assert_eq!(at(20, 2), ["hasty"]);
        assert_eq!(at(60, 2), ["patient", "hasty"]);
    }
}
