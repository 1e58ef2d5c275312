use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::sink::MemorySink;
use super::source::MemorySource;
use super::topic::Topic;
use crate::transport::{Link, Sink, Source};

/// The name that errors and metrics give to this transport.
pub(super) const SYSTEM: &str = "memory";

/// How much a [`Broker`] holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many events that are not handled a group of a topic may have, at least 1: a sender waits for a group
    /// that has fallen behind by more. As many of the newest events are kept for groups that come later.
    pub capacity: usize,
    /// How many of the newest event ids a topic remembers, so that an event that is sent again is not handed out
    /// again; 0 to remember none.
    pub deduplicated_events: usize,
}

impl Default for Config {
    /// 8,192 events a group, and as many ids a topic.
    fn default() -> Self {
        Self { capacity: 8192, deduplicated_events: 8192 }
    }
}

/// Topics in memory; cloning gives another handle.
///
/// Events are kept for a group from its first [`open`](Source::open) on, also while none of its receivers is open,
/// until the group is [forgotten](Self::forget). A topic without groups keeps the newest [`Config::capacity`] events
/// and holds up nobody: older ones are dropped unseen, which is logged once. Open a group before anything is sent.
#[derive(Debug, Clone)]
pub struct Broker {
    hub: Arc<Hub>,
}

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) config: Config,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    topics: HashMap<Arc<str>, Arc<Topic>>,
    links: Vec<Weak<watch::Sender<Link>>>,
    down: bool,
}

impl Broker {
    /// Makes a broker without topics.
    pub fn new(mut config: Config) -> Self {
        config.capacity = config.capacity.max(1);
        Self { hub: Arc::new(Hub { config, state: Mutex::default() }) }
    }

    /// Returns the source of `topic`, which is made if it is not there.
    pub fn source(&self, topic: &str) -> Arc<dyn Source> {
        Arc::new(MemorySource::new(Arc::clone(&self.hub), self.hub.topic(topic)))
    }

    /// Returns a sink of its own to `topic`, which is made if it is not there.
    pub fn sink(&self, topic: &str) -> Arc<dyn Sink> {
        Arc::new(MemorySink::new(&self.hub, self.hub.topic(topic)))
    }

    /// Returns how many events of `topic` the group has not handled, none if there is no such group.
    pub fn backlog(&self, topic: &str, group: &str) -> Option<usize> {
        self.hub.topic(topic).backlog(group)
    }

    /// Removes a group that has no receiver, with its backlog, so that it holds up senders no longer. Says whether
    /// it did.
    pub fn forget(&self, topic: &str, group: &str) -> bool {
        self.hub.topic(topic).forget(group)
    }

    /// Cuts all connections, as a broken network would: what is in flight is handed out again later, sending and
    /// receiving wait. For tests.
    pub fn cut(&self) {
        self.hub.set_down(true);
    }

    /// Lets connections be made again after [`cut`](Self::cut).
    pub fn restore(&self) {
        self.hub.set_down(false);
    }
}

impl Hub {
    fn topic(&self, name: &str) -> Arc<Topic> {
        let mut state = self.state.lock();
        if let Some(topic) = state.topics.get(name) {
            return Arc::clone(topic);
        }
        let topic = Arc::new(Topic::new(name, &self.config, state.down));
        state.topics.insert(name.into(), Arc::clone(&topic));
        topic
    }

    fn set_down(&self, down: bool) {
        let mut state = self.state.lock();
        state.down = down;
        state.topics.values().for_each(|topic| topic.set_down(down));
        state.links.retain(|link| link.upgrade().map(|link| tell(&link, down)).is_some());
    }

    /// Makes the link of a new connection, which hears of [`Broker::cut`].
    pub(super) fn connect(&self) -> Arc<watch::Sender<Link>> {
        let mut state = self.state.lock();
        let link = Arc::new(crate::transport::link().0);
        tell(&link, state.down);
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&link));
        link
    }
}

fn tell(link: &watch::Sender<Link>, down: bool) {
    let now =
        if down { Link::Down { attempts: 0, reason: "the connection was cut".into() } } else { Link::Up };
    link.send_if_modified(|link| {
        let changes = *link != Link::Closed && *link != now;
        if changes {
            *link = now;
        }
        changes
    });
}
