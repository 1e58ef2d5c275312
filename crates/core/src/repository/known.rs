use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::size_of;
use std::sync::Arc;

use super::cache::allocated;
use crate::snapshot::KnownCommand;
use crate::store::Position;

/// The commands of an aggregate that are recognised when they are repeated: the newest, the oldest of them first.
#[derive(Debug, Default)]
pub(super) struct Known {
    commands: VecDeque<KnownCommand>,
    /// A part of each key's hash. Nearly every key that is looked for is new: to see that, these few bytes are read,
    /// and no key. Keys that were chosen to collide cost as much as if there were none of this.
    tags: VecDeque<u16>,
    /// What the texts of all take.
    text_bytes: usize,
}

/// How many tags are compared at once, so that the compiler does it by vectors.
const AT_ONCE: usize = 32;

impl Known {
    /// Returns what was done under `key`.
    pub(super) fn find(&self, key: &str) -> Option<&KnownCommand> {
        let tag = tag(key);
        let contains = |tags: &[u16]| {
            let any = |tags: &[u16]| tags.iter().fold(false, |any, other| any | (*other == tag));
            tags.chunks(AT_ONCE).any(any)
        };
        let (older, newer) = self.tags.as_slices();
        if !contains(older) && !contains(newer) {
            return None;
        }
        // The newest are asked for most.
        self.commands.iter().rev().find(|known| &*known.key == key)
    }

    /// Notes that `events` more were caused by the command with this key, whose first stands behind `after`. Of more
    /// than `max` commands the oldest is forgotten.
    pub(super) fn note(
        &mut self,
        key: &Arc<str>,
        fingerprint: Option<&Arc<str>>,
        after: Position,
        events: u64,
        max: usize,
    ) {
        match self.commands.back_mut() {
            // Events of one command stand next to each other.
            Some(newest) if newest.key == *key => newest.events += events,
            _ => {
                // First, so that a ring that is full does not grow.
                self.forget_down_to(max.saturating_sub(1));
                let command =
                    KnownCommand { key: Arc::clone(key), fingerprint: fingerprint.cloned(), after, events };
                self.push(command);
                self.forget_down_to(max);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KnownCommand> {
        self.commands.iter()
    }

    /// Returns how many bytes it has allocated.
    pub(super) fn allocated(&self) -> usize {
        allocated(self.commands.capacity() * size_of::<KnownCommand>())
            + allocated(self.tags.capacity() * size_of::<u16>())
            + self.text_bytes
    }

    fn push(&mut self, command: KnownCommand) {
        // By hand, for most aggregates see few commands and a vector would begin with room for four.
        if self.commands.len() == self.commands.capacity() {
            self.commands.reserve_exact(self.commands.len().max(1));
        }
        self.tags.push_back(tag(&command.key));
        self.text_bytes += text_bytes(&command);
        self.commands.push_back(command);
    }

    fn forget_down_to(&mut self, count: usize) {
        while self.commands.len() > count {
            self.tags.pop_front();
            let forgotten = self.commands.pop_front();
            self.text_bytes -= forgotten.as_ref().map_or(0, text_bytes);
        }
    }
}

impl FromIterator<KnownCommand> for Known {
    fn from_iter<I: IntoIterator<Item = KnownCommand>>(commands: I) -> Self {
        let mut known = Self::default();
        commands.into_iter().for_each(|command| known.push(command));
        known
    }
}

fn tag(key: &str) -> u16 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() as u16
}

fn text_bytes(command: &KnownCommand) -> usize {
    // An `Arc` has two counters.
    let text = |text: &str| allocated(2 * size_of::<usize>() + text.len());
    text(&command.key) + command.fingerprint.as_deref().map_or(0, text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is a queue of the newest, in which everything is looked at.
        #[test]
        fn the_newest_are_found_and_no_others(
            keys in prop::collection::vec((0_u32..150, prop::bool::ANY), 0..400),
            max in 0_usize..100,
        ) {
            let mut known = Known::default();
            let mut model: Vec<(String, bool, u64)> = Vec::new();
            for (at, (key, fingerprint)) in keys.into_iter().enumerate() {
                let key = format!("key-{key}");
                let found = known.find(&key).map(|known| (known.fingerprint.is_some(), known.events));
                let expected = model.iter().rev().find(|(other, ..)| *other == key);
                prop_assert_eq!(found, expected.map(|(_, fingerprint, events)| (*fingerprint, *events)));
                let text: Arc<str> = key.as_str().into();
                let after = Position::from_parts(at as u64, 0);
                known.note(&text, fingerprint.then_some(&text), after, 2, max);
                match model.last_mut() {
                    Some((newest, _, events)) if *newest == key => *events += 2,
                    _ => model.push((key, fingerprint, 2)),
                }
                model.drain(..model.len().saturating_sub(max));
                let texts: usize = known.iter().map(text_bytes).sum();
                prop_assert_eq!((known.iter().count(), known.text_bytes), (model.len(), texts));
                prop_assert!(known.commands.capacity() < 2 * max.max(1), "{}", known.commands.capacity());
            }
        }
    }
}
