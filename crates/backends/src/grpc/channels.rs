//! Several channels to one server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::tonic::transport::{Channel, Endpoint};
use parking_lot::RwLock;

/// Several channels to one server, given out in turn. Clones share them.
#[derive(Clone)]
pub struct Channels {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    /// What the server is asked about.
    pub(super) service: Box<str>,
    slots: RwLock<Box<[Slot]>>,
    /// Whose turn it is to be given out.
    next: AtomicUsize,
    /// Whose turn it is to be checked.
    pub(super) next_checked: AtomicUsize,
}

/// A channel, and how often it was replaced.
#[derive(Clone)]
struct Slot {
    channel: Channel,
    generation: u64,
}

impl Channels {
    /// Creates `size` channels (1 or more; 0 counts as 1) to `endpoint`, which connect when they are first used. The
    /// health of `service` is asked for; an empty name asks for that of the server as a whole.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(endpoint: Endpoint, size: usize, service: impl Into<Box<str>>) -> Self {
        let slots =
            (0..size.max(1)).map(|_| Slot { channel: endpoint.connect_lazy(), generation: 0 }).collect();
        Self {
            shared: Arc::new(Shared {
                endpoint,
                service: service.into(),
                slots: RwLock::new(slots),
                next: AtomicUsize::new(0),
                next_checked: AtomicUsize::new(0),
            }),
        }
    }

    /// Returns the next channel. Take one for each call, not for good: channels are replaced.
    pub fn get(&self) -> Channel {
        let turn = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let slots = self.shared.slots.read();
        slots[turn % slots.len()].channel.clone()
    }

    /// Returns how many there are.
    pub fn size(&self) -> usize {
        self.shared.slots.read().len()
    }

    /// Returns the channel at `turn`, its place and its generation.
    pub(super) fn at(&self, turn: usize) -> (Channel, usize, u64) {
        let slots = self.shared.slots.read();
        let place = turn % slots.len();
        (slots[place].channel.clone(), place, slots[place].generation)
    }

    /// Puts a new channel in the place of an old one, unless somebody has.
    pub(super) fn replace(&self, place: usize, generation: u64) {
        let mut slots = self.shared.slots.write();
        let slot = &mut slots[place];
        if slot.generation == generation {
            *slot = Slot { channel: self.shared.endpoint.connect_lazy(), generation: generation + 1 };
        }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels")
            .field("uri", self.shared.endpoint.uri())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
