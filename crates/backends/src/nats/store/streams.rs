//! How streams stand, for those that look it up and the one that appends.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::message::Events;

/// How many streams are kept in mind; more are asked for anew.
const STREAMS_MAX: usize = 65_536;

/// How a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stream {
    /// The revision of its next event.
    pub(super) next: u64,
    /// What has a lower revision is deleted.
    pub(super) since: u64,
    /// Which message holds its newest events; zero if it has none.
    pub(super) last: u64,
}

impl Stream {
    pub(super) fn revision(self) -> Option<u64> {
        (self.next > self.since).then(|| self.next - 1)
    }

    /// How a stream stands after `events`, which are whole, at `sequence`.
    pub(super) fn after(events: &Events, sequence: u64) -> Self {
        Self { next: events.next(), since: events.since, last: sequence }
    }

    /// How it stands where `events` never became whole.
    pub(super) fn before(events: &Events) -> Self {
        Self { next: events.first, since: events.since, last: events.before }
    }

    pub(super) fn deleted(next: u64) -> Self {
        Self { next, since: next, last: 0 }
    }
}

/// How streams stand at the end of what is known.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<Arc<str>, Stream>,
    /// How often all was forgotten.
    cleared: u64,
}

impl State {
    fn set(&mut self, name: &Arc<str>, stream: Stream) {
        if self.known.len() >= STREAMS_MAX {
            self.clear();
        }
        self.known.insert(Arc::clone(name), stream);
    }

    fn clear(&mut self) {
        self.known.clear();
        self.cleared += 1;
    }
}

impl Streams {
    pub(super) fn get(&self, name: &str) -> Option<Stream> {
        self.0.lock().known.get(name).copied()
    }

    /// Takes note of how a stream stands now.
    pub(super) fn set(&self, name: &Arc<str>, stream: Stream) {
        self.0.lock().set(name, stream);
    }

    /// Says that a stream which is not known is about to be looked up.
    pub(super) fn look_up(&self) -> LookUp {
        LookUp { cleared: self.0.lock().cleared }
    }

    /// Takes note of what was looked up, unless more has become known meanwhile.
    pub(super) fn found(&self, look_up: LookUp, name: &Arc<str>, stream: Stream) {
        let mut state = self.0.lock();
        if state.cleared == look_up.cleared && !state.known.contains_key(name) {
            state.set(name, stream);
        }
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// When a look-up began.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookUp {
    cleared: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_up_is_no_news_where_more_is_known() {
        let (streams, name) = (Streams::default(), Arc::from("s"));
        let at = |next| Stream { next, since: 0, last: next };
        streams.found(streams.look_up(), &name, at(1));
        assert_eq!(streams.get("s"), Some(at(1)));

        let look_up = streams.look_up();
        streams.set(&name, at(2));
        streams.found(look_up, &name, at(1));
        assert_eq!(streams.get("s"), Some(at(2)));

        // What became known and was forgotten may have been newer.
        let look_up = streams.look_up();
        streams.clear();
        streams.found(look_up, &name, at(2));
        assert_eq!(streams.get("s"), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let streams = Streams::default();
        for number in 0..=STREAMS_MAX {
            streams.set(&number.to_string().into(), Stream::default());
        }
        assert_eq!(
            (streams.get("0"), streams.get(&STREAMS_MAX.to_string())),
            (None, Some(Stream::default()))
        );
    }
}
