use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use steadfast_base::Seed;

use super::{Active, Lease, LeaseError, LeaseId, LeaseState};
use crate::Fault;

/// The longest time to live that a lease is given at once, 1 hour; it may be renewed for ever.
pub const TTL_MAX: Duration = Duration::from_secs(3600);

/// As many leases are active at most.
pub(super) const ACTIVE_MAX: usize = 64;

/// As many ended leases are remembered, so that their doses can be read and their ids are not given again.
pub(super) const ENDED_MAX: usize = 256;

/// All leases of one process.
///
/// Time is an argument: whoever calls reads the clock.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// The one thing that an idle call reads: whether the snapshot may hold anything.
    armed: AtomicBool,
    /// What calls see of the book: the active leases, in the order in which they were injected.
    snapshot: RwLock<Arc<[Arc<Active>]>>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    active: Vec<Arc<Active>>,
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    lease: Arc<Active>,
    state: LeaseState,
    at: Instant,
}

impl Registry {
    /// Says whether any lease may be active. One load, for the path that every call takes.
    #[inline(always)]
    pub(crate) fn is_armed(&self) -> bool {
        // Relaxed suffices: a call that races with an injection may fall on either side of it, and whoever reads
        // `true` takes the lock of the snapshot before reading anything else.
        self.armed.load(Ordering::Relaxed)
    }

    /// Returns the leases that may be active; each says by itself whether it still is.
    pub(crate) fn snapshot(&self) -> Arc<[Arc<Active>]> {
        self.snapshot.read().clone()
    }

    /// Gives a lease, or renews it when the same was given before, as after a lost answer.
    ///
    /// The second value is the lease if it was given just now.
    pub(crate) fn inject(
        &self,
        now: Instant,
        id: &LeaseId,
        fault: Fault,
        ttl: Duration,
        seed: Option<Seed>,
    ) -> Result<(Lease, Option<Arc<Active>>), LeaseError> {
        fault.validate()?;
        check(ttl)?;
        let mut book = self.lock(now);
        if book.ended(id).is_some() {
            return Err(LeaseError::Ended);
        }
        if let Some(active) = book.active(id) {
            if active.fault != fault {
                return Err(LeaseError::Exists);
            }
            active.renew(now, ttl);
            return Ok((active.report(LeaseState::Active, now), None));
        }
        let stalls = |fault: &Fault| matches!(fault, Fault::Runtime(_));
        if stalls(&fault) && book.active.iter().any(|other| stalls(&other.fault)) {
            return Err(LeaseError::Conflict);
        }
        if book.active.len() >= ACTIVE_MAX {
            return Err(LeaseError::Limit);
        }
        let seed = seed.unwrap_or_else(|| Seed::new(0).derive(id.as_str()));
        let active = Arc::new(Active::new(id.clone(), fault, seed, now, ttl));
        book.active.push(active.clone());
        self.publish(&book);
        Ok((active.report(LeaseState::Active, now), Some(active)))
    }

    /// Lets an active lease end `ttl` from `now`.
    pub(crate) fn renew(&self, now: Instant, id: &LeaseId, ttl: Duration) -> Result<Lease, LeaseError> {
        check(ttl)?;
        let book = self.lock(now);
        match book.active(id) {
            Some(active) => {
                active.renew(now, ttl);
                Ok(active.report(LeaseState::Active, now))
            }
            None if book.ended(id).is_some() => Err(LeaseError::Ended),
            None => Err(LeaseError::Unknown),
        }
    }

    /// Ends a lease and returns its dose; of one that has ended before, what it ended with.
    pub(crate) fn revoke(&self, now: Instant, id: &LeaseId) -> Result<Lease, LeaseError> {
        let mut book = self.lock(now);
        if let Some(index) = book.active.iter().position(|active| active.id == *id) {
            book.end(index, LeaseState::Revoked, now);
            self.publish(&book);
        }
        let ended = book.ended(id).ok_or(LeaseError::Unknown)?;
        Ok(ended.lease.report(ended.state, ended.at))
    }

    /// Returns the ended leases that are remembered, oldest first, then the active ones.
    pub(crate) fn list(&self, now: Instant) -> Vec<Lease> {
        let book = self.lock(now);
        let ended = book.ended.iter().map(|ended| ended.lease.report(ended.state, ended.at));
        ended.chain(book.active.iter().map(|active| active.report(LeaseState::Active, now))).collect()
    }

    /// Ends what has expired, so that calls take the idle path again.
    pub(crate) fn sweep(&self, now: Instant) {
        drop(self.lock(now));
    }

    /// Ends all leases.
    pub(crate) fn clear(&self, now: Instant) {
        let mut book = self.lock(now);
        while !book.active.is_empty() {
            book.end(0, LeaseState::Revoked, now);
        }
        self.publish(&book);
    }

    /// Opens the book and moves what has expired by `now` to its end.
    fn lock(&self, now: Instant) -> parking_lot::MutexGuard<'_, Book> {
        let mut book = self.book.lock();
        let mut swept = false;
        while let Some(index) = book.active.iter().position(|active| !active.is_live(now)) {
            let expired_at = book.active[index].deadline();
            book.end(index, LeaseState::Expired, expired_at);
            swept = true;
        }
        if swept {
            self.publish(&book);
        }
        book
    }

    fn publish(&self, book: &Book) {
        *self.snapshot.write() = book.active.as_slice().into();
        self.armed.store(!book.active.is_empty(), Ordering::Release);
    }
}

impl Book {
    fn active(&self, id: &LeaseId) -> Option<&Arc<Active>> {
        self.active.iter().find(|active| active.id == *id)
    }

    fn ended(&self, id: &LeaseId) -> Option<&Ended> {
        self.ended.iter().find(|ended| ended.lease.id == *id)
    }

    fn end(&mut self, index: usize, state: LeaseState, at: Instant) {
        let lease = self.active.remove(index);
        lease.end();
        self.ended.push_back(Ended { lease, state, at });
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }
}

fn check(ttl: Duration) -> Result<(), LeaseError> {
    if ttl < Duration::from_millis(1) || ttl > TTL_MAX { Err(LeaseError::Ttl) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{HttpFault, RuntimeFault};

    fn id(number: u8) -> LeaseId {
        format!("lease-{number}").parse().expect("an id")
    }

    fn fault(kind: u8) -> Fault {
        let millis = |millis| steadfast_base::units::HumanDuration(Duration::from_millis(millis));
        match kind {
            0 => Fault::Runtime(RuntimeFault { stall: millis(1), every: millis(2) }),
            kind => Fault::Http(HttpFault { status: Some(500 + u16::from(kind)), ..HttpFault::default() }),
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Inject(u8, u8, u64),
        Renew(u8, u64),
        Revoke(u8),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6_u8, 0..3_u8, 1..100_u64).prop_map(|(id, kind, ttl)| Step::Inject(id, kind, ttl)),
            (0..6_u8, 1..100_u64).prop_map(|(id, ttl)| Step::Renew(id, ttl)),
            (0..6_u8).prop_map(Step::Revoke),
            (1..60_u64).prop_map(Step::Pass),
        ]
    }

    /// A lease as the rules of the documentation have it: kind, deadline, and how it ended.
    type Model = BTreeMap<u8, (u8, u64, Option<LeaseState>)>;

    fn expire(model: &mut Model, now: u64) {
        for (_, deadline, state) in model.values_mut() {
            if state.is_none() && *deadline <= now {
                *state = Some(LeaseState::Expired);
            }
        }
    }

    fn inject(model: &mut Model, id: u8, kind: u8, deadline: u64) -> Result<(), LeaseError> {
        let stalled = model.values().any(|(kind, _, ended)| *kind == 0 && ended.is_none());
        match model.get_mut(&id) {
            Some((_, _, Some(_))) => return Err(LeaseError::Ended),
            Some((held, _, None)) if *held != kind => return Err(LeaseError::Exists),
            Some((_, held_until, None)) => *held_until = deadline,
            None if kind == 0 && stalled => return Err(LeaseError::Conflict),
            None => drop(model.insert(id, (kind, deadline, None))),
        }
        Ok(())
    }

    fn renew(model: &mut Model, id: u8, deadline: u64) -> Result<(), LeaseError> {
        match model.get_mut(&id) {
            Some((_, held_until, None)) => {
                *held_until = deadline;
                Ok(())
            }
            Some(_) => Err(LeaseError::Ended),
            None => Err(LeaseError::Unknown),
        }
    }

    proptest! {
        #[test]
        fn leases_live_as_the_rules_say(steps in proptest::collection::vec(step(), 1..80)) {
            let registry = Registry::default();
            let start = Instant::now();
            let (mut model, mut now) = (Model::new(), 0_u64);
            let ms = Duration::from_millis;
            for step in steps {
                let instant = start + ms(now);
                expire(&mut model, now);
                match step {
                    Step::Inject(number, kind, ttl) => {
                        let injected = registry.inject(instant, &id(number), fault(kind), ms(ttl), None);
                        prop_assert_eq!(injected.map(drop), inject(&mut model, number, kind, now + ttl));
                    }
                    Step::Renew(number, ttl) => {
                        let renewed = registry.renew(instant, &id(number), ms(ttl));
                        prop_assert_eq!(renewed.map(drop), renew(&mut model, number, now + ttl));
                    }
                    Step::Revoke(number) => {
                        let revoked = registry.revoke(instant, &id(number)).map(|lease| lease.state);
                        let expected = model.get_mut(&number);
                        let expected = expected.map(|lease| *lease.2.get_or_insert(LeaseState::Revoked));
                        prop_assert_eq!(revoked, expected.ok_or(LeaseError::Unknown));
                    }
                    Step::Pass(time) => now += time,
                }
                let instant = start + ms(now);
                // What calls see agrees with the rules before anybody has swept.
                let live = registry.snapshot().iter().filter(|lease| lease.is_live(instant)).count();
                expire(&mut model, now);
                prop_assert_eq!(live, model.values().filter(|lease| lease.2.is_none()).count());
                prop_assert!(live == 0 || registry.is_armed());
                let listed: BTreeMap<_, _> =
                    registry.list(instant).into_iter().map(|lease| (lease.id, lease.state)).collect();
                let expected: BTreeMap<_, _> = model
                    .iter()
                    .map(|(number, lease)| (id(*number), lease.2.unwrap_or(LeaseState::Active)))
                    .collect();
                prop_assert_eq!(listed, expected);
                prop_assert_eq!(registry.is_armed(), live > 0);
            }
        }
    }

    #[test]
    fn leases_are_bounded_and_ended_ones_forgotten_in_turn() {
        let registry = Registry::default();
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let name = |number: usize| format!("lease-{number}").parse::<LeaseId>().expect("an id");
        for number in 0..ACTIVE_MAX {
            registry.inject(now, &name(number), fault(1), minute, None).expect("a lease");
        }
        let beyond = registry.inject(now, &name(ACTIVE_MAX), fault(1), minute, None);
        assert_eq!(beyond.map(drop), Err(LeaseError::Limit));
        registry.clear(now);
        assert!(!registry.is_armed());
        for number in ACTIVE_MAX..=ENDED_MAX {
            registry.inject(now, &name(number), fault(1), minute, None).expect("a lease");
            registry.revoke(now, &name(number)).expect("a lease");
        }
        assert_eq!(registry.list(now).len(), ENDED_MAX);
        assert_eq!(registry.revoke(now, &name(0)), Err(LeaseError::Unknown));
        assert!(registry.revoke(now, &name(1)).is_ok());
    }

    #[test]
    fn a_time_to_live_is_bounded() {
        let registry = Registry::default();
        for ttl in [Duration::ZERO, TTL_MAX + Duration::from_millis(1)] {
            let refused = registry.inject(Instant::now(), &id(0), fault(1), ttl, None);
            assert_eq!(refused.map(drop), Err(LeaseError::Ttl));
        }
    }
}
