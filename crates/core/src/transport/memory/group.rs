//! What one group has still to handle, and which of its members may have it: a state machine without waiting.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::Event;
use crate::transport::{Outcome, Received, Token};

pub(super) type MemberId = u64;

/// What order is kept within.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Named(Arc<str>),
    /// An event without a key is in order with nothing; it is known by its offset.
    None(u64),
}

/// **Invariant**: a key is listed under the offset of its first waiting event, in `free` if no event of it is in
/// flight, else in `ready` of the member that has them, and there only if that event is newer than all of those.
/// So a key is with one member at a time, and a released event is handed out before what follows it.
#[derive(Debug, Default)]
pub(super) struct Group {
    lanes: HashMap<Key, Lane>,
    free: BTreeMap<u64, Key>,
    members: HashMap<MemberId, Member>,
    outstanding: usize,
    tokens: u64,
}

/// The events of one key.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<u64, Waiting>,
    owner: MemberId,
    in_flight: usize,
    /// The newest offset that the owner has got.
    newest: u64,
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    handed_out: u32,
}

#[derive(Debug)]
struct Member {
    in_flight_max: usize,
    ready: BTreeMap<u64, Key>,
    in_flight: HashMap<Token, (Key, u64, Waiting)>,
}

impl Group {
    /// Returns how many events are not handled.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Adds an event at `offset`, which is larger than all before.
    pub(super) fn push(&mut self, offset: u64, event: Event) {
        let key = Key::of(&event, offset);
        self.outstanding += 1;
        self.change(&key, |lane| drop(lane.waiting.insert(offset, Waiting { event, handed_out: 0 })));
    }

    pub(super) fn join(&mut self, member: MemberId, in_flight_max: usize) {
        let in_flight_max = in_flight_max.max(1);
        let joined = Member { in_flight_max, ready: BTreeMap::new(), in_flight: HashMap::new() };
        self.members.insert(member, joined);
    }

    /// Removes a member; what it has not settled is released.
    pub(super) fn leave(&mut self, member: MemberId) {
        self.disconnect(member);
        self.members.remove(&member);
    }

    /// Releases what every member has not settled; their tokens mean nothing from now on.
    pub(super) fn disconnect_all(&mut self) {
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        members.into_iter().for_each(|member| self.disconnect(member));
    }

    fn disconnect(&mut self, member: MemberId) {
        let tokens: Vec<Token> = self
            .members
            .get(&member)
            .into_iter()
            .flat_map(|member| member.in_flight.keys())
            .copied()
            .collect();
        for token in tokens {
            self.settle(member, token, Outcome::Released);
        }
    }

    /// Hands out up to `max` events to `member`, oldest first.
    pub(super) fn take(&mut self, member: MemberId, max: usize) -> Vec<Received> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(key) = self.next_key(member) else { break };
            let token = Token(self.tokens);
            self.tokens += 1;
            let Some((offset, mut waiting)) = self.change(&key, |lane| {
                let first = lane.waiting.pop_first()?;
                (lane.owner, lane.newest) = (member, first.0);
                lane.in_flight += 1;
                Some(first)
            }) else {
                break;
            };
            taken.push(Received::new(waiting.event.clone(), token, waiting.handed_out));
            waiting.handed_out += 1;
            if let Some(member) = self.members.get_mut(&member) {
                member.in_flight.insert(token, (key, offset, waiting));
            }
        }
        taken
    }

    /// Returns the key of the oldest event that `member` may have now.
    fn next_key(&self, member: MemberId) -> Option<Key> {
        let member = self.members.get(&member)?;
        if member.in_flight.len() >= member.in_flight_max {
            return None;
        }
        let firsts = [member.ready.first_key_value(), self.free.first_key_value()];
        firsts.into_iter().flatten().min_by_key(|(offset, _)| **offset).map(|(_, key)| key.clone())
    }

    /// Settles one event; an unknown token changes nothing.
    pub(super) fn settle(&mut self, member: MemberId, token: Token, outcome: Outcome) {
        let Some((key, offset, waiting)) =
            self.members.get_mut(&member).and_then(|member| member.in_flight.remove(&token))
        else {
            return;
        };
        if outcome == Outcome::Handled {
            self.outstanding -= 1;
        }
        self.change(&key, |lane| {
            lane.in_flight -= 1;
            if outcome == Outcome::Released {
                lane.waiting.insert(offset, waiting);
            }
        });
    }

    /// Changes the lane of `key`, which may appear and vanish with that, and lists it as the invariant wants it.
    fn change<R>(&mut self, key: &Key, change: impl FnOnce(&mut Lane) -> R) -> R {
        let lane = self.lanes.entry(key.clone()).or_default();
        if let Some(first) = lane.waiting.first_key_value().map(|(offset, _)| offset) {
            self.free.remove(first);
            if let Some(owner) = self.members.get_mut(&lane.owner) {
                owner.ready.remove(first);
            }
        }
        let result = change(lane);
        match (lane.waiting.first_key_value().map(|(offset, _)| *offset), lane.in_flight) {
            (None, 0) => drop(self.lanes.remove(key)),
            (Some(first), 0) => drop(self.free.insert(first, key.clone())),
            (Some(first), _) if first > lane.newest => {
                if let Some(owner) = self.members.get_mut(&lane.owner) {
                    owner.ready.insert(first, key.clone());
                }
            }
            _ => {}
        }
        result
    }
}

impl Key {
    fn of(event: &Event, offset: u64) -> Self {
        match (event.extensions().get("partitionkey"), &event.subject) {
            (Some(key), _) => Self::Named(key.as_str().into()),
            (None, Some(subject)) => Self::Named(Arc::clone(subject)),
            (None, None) => Self::None(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        /// An event of one of three keys, or of none.
        Push(u8),
        Join(MemberId, usize),
        Leave(MemberId),
        Take(MemberId, usize),
        Settle(MemberId, Index, Outcome),
        /// Settles something that was settled before.
        SettleAgain(MemberId, Index, Outcome),
        Cut,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let outcome = prop_oneof![2 => Just(Outcome::Handled), 1 => Just(Outcome::Released)];
        let member = 0..3_u64;
        let step = prop_oneof![
            6 => (0..4_u8).prop_map(Step::Push),
            2 => (member.clone(), 1..5_usize).prop_map(|(member, max)| Step::Join(member, max)),
            1 => member.clone().prop_map(Step::Leave),
            6 => (member.clone(), 1..4_usize).prop_map(|(member, max)| Step::Take(member, max)),
            6 => (member.clone(), any::<Index>(), outcome.clone()).prop_map(|(m, i, o)| Step::Settle(m, i, o)),
            1 => (member, any::<Index>(), outcome).prop_map(|(m, i, o)| Step::SettleAgain(m, i, o)),
            1 => Just(Step::Cut),
        ];
        proptest::collection::vec(step, 1..200)
    }

    /// What is true of a group, kept in the plainest way.
    #[derive(Default)]
    struct Model {
        /// The key of each event, by its offset.
        keys: BTreeMap<u64, u8>,
        handled: BTreeSet<u64>,
        seen: BTreeSet<u64>,
        /// What each member has in flight, and at most.
        members: BTreeMap<MemberId, (usize, Vec<(Token, u64)>)>,
    }

    impl Model {
        fn taken(&mut self, member: MemberId, offsets: &[(Token, u64)]) -> Result<(), TestCaseError> {
            for (token, offset) in offsets {
                let key = self.keys[offset];
                prop_assert!(!self.handled.contains(offset), "{offset} came again after it was handled");
                let same_key = |other: &&(Token, u64)| key != 0 && self.keys[&other.1] == key;
                for (other, (_, in_flight)) in &self.members {
                    let held = in_flight.iter().find(same_key);
                    prop_assert!(*other == member || held.is_none(), "key {key} is with two members");
                }
                let (max, in_flight) = &self.members[&member];
                prop_assert!(in_flight.len() < *max, "more than {max} are in flight");
                let newest = in_flight.iter().filter(same_key).map(|held| held.1).max();
                prop_assert!(newest < Some(*offset), "{offset} came after {newest:?} of its key");
                let mut earlier = self.keys.range(..offset).filter(|(_, other)| key != 0 && **other == key);
                let passed = earlier.find(|(earlier, _)| !self.seen.contains(earlier));
                prop_assert!(passed.is_none(), "{offset} came before {passed:?}");
                self.seen.insert(*offset);
                self.members.entry(member).or_default().1.push((*token, *offset));
            }
            Ok(())
        }
    }

    fn take(group: &mut Group, member: MemberId, max: usize) -> Vec<(Token, u64)> {
        let offset = |received: Received| {
            let text = String::from_utf8_lossy(received.event.data()).into_owned();
            (received.token, text.parse().expect("an offset"))
        };
        group.take(member, max).into_iter().map(offset).collect()
    }

    proptest! {
        #[test]
        fn a_key_is_with_one_member_in_order_and_nothing_is_lost(steps in steps()) {
            let (mut group, mut model) = (Group::default(), Model::default());
            let mut settled: Vec<(MemberId, Token)> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(key) => {
                        let offset = model.keys.len() as u64;
                        let event = Event::new("/test", "test");
                        let event = if key == 0 { event } else { event.subject(key.to_string()) };
                        group.push(offset, event.data("text/plain", offset.to_string()));
                        model.keys.insert(offset, key);
                    }
                    Step::Join(member, _) if model.members.contains_key(&member) => {}
                    Step::Join(member, max) => {
                        group.join(member, max);
                        model.members.insert(member, (max, Vec::new()));
                    }
                    Step::Leave(member) => {
                        group.leave(member);
                        model.members.remove(&member);
                    }
                    Step::Take(member, max) => {
                        let taken = take(&mut group, member, max);
                        prop_assert!(taken.len() <= max);
                        model.taken(member, &taken)?;
                    }
                    Step::Settle(member, index, outcome) => {
                        let Some((_, in_flight)) = model.members.get_mut(&member) else { continue };
                        if in_flight.is_empty() {
                            continue;
                        }
                        let (token, offset) = in_flight.remove(index.index(in_flight.len()));
                        group.settle(member, token, outcome);
                        settled.push((member, token));
                        if outcome == Outcome::Handled {
                            model.handled.insert(offset);
                        }
                    }
                    Step::SettleAgain(member, index, outcome) => {
                        if !settled.is_empty() {
                            let (_, token) = settled[index.index(settled.len())];
                            group.settle(member, token, outcome);
                        }
                    }
                    Step::Cut => {
                        group.disconnect_all();
                        model.members.values_mut().for_each(|(_, in_flight)| in_flight.clear());
                    }
                }
                prop_assert_eq!(group.outstanding(), model.keys.len() - model.handled.len());
            }
            group.disconnect_all();
            group.join(9, usize::MAX);
            let rest: Vec<u64> = take(&mut group, 9, usize::MAX).into_iter().map(|(_, offset)| offset).collect();
            let expected: Vec<u64> =
                model.keys.keys().copied().filter(|offset| !model.handled.contains(offset)).collect();
            prop_assert_eq!(rest, expected, "the rest is handed out, oldest first");
        }
    }
}
