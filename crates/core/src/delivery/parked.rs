use std::collections::HashMap;
use std::sync::Arc;

use super::letters::LetterId;
use super::{Parking, WhenFull};

/// The keys that have dead letters, and how many messages are parked behind them.
#[derive(Default)]
pub(super) struct ParkedKeys {
    keys: HashMap<Arc<str>, ParkedKey>,
    /// How many letters all keys together have.
    total: usize,
}

/// One key that has dead letters.
#[derive(Debug, Default)]
pub(super) struct ParkedKey {
    /// How many letters it has, the dead one included.
    count: usize,
    last: LetterId,
    /// A message of this key is being parked.
    pub(super) parking: bool,
    /// All that is parked has been replayed but for what is being parked, so no more is parked: it waits.
    pub(super) draining: bool,
    /// The message that waits until the key is free, or has room again.
    pub(super) held: Option<u32>,
}

/// What is to be done with the next message of a parked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Park,
    Hold,
    Bury,
    Handle,
}

impl ParkedKeys {
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut ParkedKey> {
        self.keys.get_mut(key)
    }

    pub(super) fn verdict(&self, key: &str, parking: Parking) -> Verdict {
        let Some(parked) = self.keys.get(key) else { return Verdict::Handle };
        if parked.draining {
            return Verdict::Hold;
        }
        // The dead letter itself takes no room among those that are parked behind it.
        let behind = (parked.count + usize::from(parked.parking)).saturating_sub(1);
        let total = self.total.saturating_sub(self.keys.len());
        if behind < parking.per_key_max && total < parking.total_max {
            return Verdict::Park;
        }
        match parking.full {
            WhenFull::Wait => Verdict::Hold,
            WhenFull::DeadLetter => Verdict::Bury,
            WhenFull::Pass => Verdict::Handle,
        }
    }

    /// Notes that a letter of `key` is kept.
    pub(super) fn kept(&mut self, key: &Arc<str>, id: LetterId) {
        let parked = self.keys.entry(Arc::clone(key)).or_default();
        // A message that was kept before has an earlier letter.
        if id > parked.last {
            parked.last = id;
            parked.count += 1;
            self.total += 1;
        }
    }

    /// Notes whether letters of `key` are kept, whoever has put or removed them.
    pub(super) fn learn(&mut self, key: &Arc<str>, is_held: bool) {
        match self.keys.get(key) {
            None if is_held => {
                self.keys.insert(Arc::clone(key), ParkedKey { count: 1, ..ParkedKey::default() });
                self.total += 1;
            }
            // Were it being replayed or parked here, it would be free only at the end of that.
            Some(parked) if !is_held && !parked.draining && !parked.parking && parked.held.is_none() => {
                self.free(key);
            }
            _ => {}
        }
    }

    /// Takes room for a message that is to be parked.
    pub(super) fn reserve(&mut self, key: &str) {
        if let Some(parked) = self.keys.get_mut(key)
            && !std::mem::replace(&mut parked.parking, true)
        {
            self.total += 1;
        }
    }

    /// Gives the room back, before it is said what came of it.
    pub(super) fn unreserve(&mut self, key: &str) {
        if let Some(parked) = self.keys.get_mut(key)
            && std::mem::take(&mut parked.parking)
        {
            self.total -= 1;
        }
    }

    /// Says whether a letter of `key` was found where letters are kept before it was said here that it is kept.
    pub(super) fn is_ahead(&self, key: &str, id: LetterId) -> bool {
        self.keys.get(key).is_some_and(|parked| parked.parking && id > parked.last)
    }

    /// Notes that a letter of `key` was handled; the key stays parked.
    pub(super) fn removed(&mut self, key: &str) {
        if let Some(parked) = self.keys.get_mut(key)
            && parked.count > 0
        {
            parked.count -= 1;
            self.total -= 1;
        }
    }

    /// Frees `key` and returns the message that waits for that.
    pub(super) fn free(&mut self, key: &str) -> Option<u32> {
        let parked = self.keys.remove(key)?;
        self.total -= parked.count + usize::from(parked.parking);
        parked.held
    }

    /// Returns the messages that wait for room; they are to be asked about again.
    pub(super) fn waiting_for_room(&mut self) -> Vec<u32> {
        self.keys
            .values_mut()
            .filter(|parked| !parked.draining)
            .filter_map(|parked| parked.held.take())
            .collect()
    }

    pub(super) fn keys(&self) -> Vec<Arc<str>> {
        self.keys.keys().cloned().collect()
    }
}
