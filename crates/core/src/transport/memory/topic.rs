use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::broker::Config;
use super::group::{Group, MemberId};
use crate::transport::{Received, Settlement, Start, Subscribe};
use crate::{Event, EventId};

/// The events of one topic and its groups.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    capacity: usize,
    deduplicated_events: usize,
    state: Mutex<State>,
    /// Senders wait here.
    pub(super) room: Notify,
    /// Receivers wait here.
    pub(super) arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    /// The newest events, for groups that come later.
    kept: VecDeque<(u64, Event)>,
    offset: u64,
    groups: HashMap<Arc<str>, Group>,
    members: MemberId,
    /// It has been said that events are dropped that no group has seen.
    warned: bool,
    known: HashSet<EventId>,
    known_by_age: VecDeque<EventId>,
}

/// The connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Down;

impl Topic {
    pub(super) fn new(name: &str, config: &Config, down: bool) -> Self {
        Self {
            name: name.into(),
            capacity: config.capacity,
            deduplicated_events: config.deduplicated_events,
            state: Mutex::new(State { down, ..State::default() }),
            room: Notify::new(),
            arrived: Notify::new(),
        }
    }

    /// Takes as many of `events` as there is room for, and returns how many.
    pub(super) fn push(&self, events: &[Event]) -> Result<usize, Down> {
        let mut state = self.state.lock();
        if state.down {
            return Err(Down);
        }
        let mut taken = 0;
        for event in events {
            if !state.known.contains(&event.id()) {
                if state.groups.values().any(|group| group.outstanding() >= self.capacity) {
                    break;
                }
                state.push(event.clone(), &self.name, self.capacity, self.deduplicated_events);
            }
            taken += 1;
        }
        drop(state);
        if taken > 0 {
            self.arrived.notify_waiters();
        }
        Ok(taken)
    }

    pub(super) fn join(&self, subscribe: &Subscribe) -> Result<MemberId, Down> {
        let mut state = self.state.lock();
        if state.down {
            return Err(Down);
        }
        state.members += 1;
        let member = state.members;
        let State { groups, kept, .. } = &mut *state;
        let group = groups.entry(Arc::clone(&subscribe.group)).or_insert_with(|| {
            let mut group = Group::default();
            if subscribe.start == Start::Oldest {
                kept.iter().for_each(|(offset, event)| group.push(*offset, event.clone()));
            }
            group
        });
        group.join(member, subscribe.in_flight_max);
        Ok(member)
    }

    /// Removes a member, whose events others get.
    pub(super) fn leave(&self, group: &str, member: MemberId) {
        if let Some(group) = self.state.lock().groups.get_mut(group) {
            group.leave(member);
        }
        self.arrived.notify_waiters();
    }

    pub(super) fn take(&self, group: &str, member: MemberId, max: usize) -> Vec<Received> {
        let mut state = self.state.lock();
        if state.down {
            return Vec::new();
        }
        state.groups.get_mut(group).map_or_else(Vec::new, |group| group.take(member, max))
    }

    pub(super) fn settle(
        &self,
        group: &str,
        member: MemberId,
        settlements: &[Settlement],
    ) -> Result<(), Down> {
        let mut state = self.state.lock();
        if state.down {
            return Err(Down);
        }
        if let Some(group) = state.groups.get_mut(group) {
            for Settlement { token, outcome } in settlements {
                group.settle(member, *token, *outcome);
            }
        }
        drop(state);
        self.room.notify_waiters();
        self.arrived.notify_waiters();
        Ok(())
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.lock().down
    }

    pub(super) fn set_down(&self, down: bool) {
        let mut state = self.state.lock();
        state.down = down;
        if down {
            state.groups.values_mut().for_each(Group::disconnect_all);
        }
        drop(state);
        self.room.notify_waiters();
        self.arrived.notify_waiters();
    }

    pub(super) fn backlog(&self, group: &str) -> Option<usize> {
        self.state.lock().groups.get(group).map(Group::outstanding)
    }

    pub(super) fn forget(&self, group: &str) -> bool {
        let mut state = self.state.lock();
        let forgettable = state.groups.get(group).is_some_and(|group| !group.has_members());
        if forgettable {
            state.groups.remove(group);
        }
        drop(state);
        self.room.notify_waiters();
        forgettable
    }
}

impl State {
    fn push(&mut self, event: Event, topic: &str, capacity: usize, deduplicated_events: usize) {
        if deduplicated_events > 0 {
            if self.known_by_age.len() == deduplicated_events
                && let Some(oldest) = self.known_by_age.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.known.insert(event.id());
            self.known_by_age.push_back(event.id());
        }
        self.offset += 1;
        for group in self.groups.values_mut() {
            group.push(self.offset, event.clone());
        }
        if self.kept.len() == capacity {
            self.kept.pop_front();
            if self.groups.is_empty() && !std::mem::replace(&mut self.warned, true) {
                tracing::warn!(topic, capacity, "no group is open: the oldest events are dropped unseen");
            }
        }
        self.kept.push_back((self.offset, event));
    }
}
