use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use super::entry::{self, CANCELLED, DELIVERED, REQUESTED};
use crate::store::{Position, StoredEvent};
use crate::transport::{Received, Token};
use crate::{Event, EventId};

/// A command that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) event: Event,
    pub(super) at: SystemTime,
    /// Where its request stands in the store.
    pub(super) requested: Position,
    handed_out: u32,
}

/// What a schedule's stream says is still to be delivered, and what of it is in hands.
#[derive(Debug, Default)]
pub(super) struct Pending {
    due: BTreeMap<(SystemTime, EventId), Command>,
    times: HashMap<EventId, SystemTime>,
    in_flight: HashMap<Token, Command>,
    tokens: u64,
}

impl Pending {
    /// Takes in the next entry of the stream.
    pub(super) fn apply(&mut self, stored: &StoredEvent) {
        let entry = &stored.event;
        match entry.kind() {
            REQUESTED => match entry::read(entry) {
                Ok((event, at)) => {
                    let id = event.id();
                    self.times.insert(id, at);
                    let command = Command { event, at, requested: stored.position, handed_out: 0 };
                    self.due.insert((at, id), command);
                }
                Err(problem) => {
                    let position = stored.position;
                    tracing::error!(%position, problem, "an entry of a schedule cannot be read and is passed over");
                }
            },
            DELIVERED | CANCELLED => {
                if let Some(id) = entry.subject().and_then(|id| id.parse::<EventId>().ok())
                    && let Some(at) = self.times.remove(&id)
                {
                    self.due.remove(&(at, id));
                }
            }
            _ => {}
        }
    }

    /// Hands out up to `max` commands that are due at `now`, the oldest time first.
    pub(super) fn hand_out(&mut self, now: SystemTime, max: usize) -> Vec<Received> {
        let mut out = Vec::new();
        while out.len() < max {
            let Some(first) = self.due.first_entry().filter(|entry| entry.key().0 <= now) else { break };
            let mut command = first.remove();
            let token = Token(self.tokens);
            self.tokens += 1;
            out.push(Received::new(command.event.clone(), token, command.handed_out));
            command.handed_out = command.handed_out.saturating_add(1);
            self.in_flight.insert(token, command);
        }
        out
    }

    /// Returns which command was handed out under `token`, and where its request stands.
    pub(super) fn handed_out(&self, token: Token) -> Option<(EventId, Position)> {
        self.in_flight.get(&token).map(|command| (command.event.id(), command.requested))
    }

    /// Forgets a command that was handed out and is said in the stream to have ended.
    pub(super) fn forget(&mut self, token: Token) {
        self.in_flight.remove(&token);
    }

    /// Puts back a command that was not handled, to be handed out again, unless it has ended meanwhile.
    pub(super) fn put_back(&mut self, token: Token) {
        let Some(command) = self.in_flight.remove(&token) else { return };
        let id = command.event.id();
        if self.times.contains_key(&id) {
            self.due.insert((command.at, id), command);
        }
    }

    /// Returns the time of the next command.
    pub(super) fn next_at(&self) -> Option<SystemTime> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the oldest request that has not ended, none if all have.
    pub(super) fn oldest_request(&self) -> Option<Position> {
        self.due.values().chain(self.in_flight.values()).map(|command| command.requested).min()
    }
}
