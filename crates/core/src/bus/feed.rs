use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Message;
use super::hub::{Drawing, Intake, Mutex, Turns};
use crate::delivery::{Envelope, Inlet, Settled};

/// What all handles of one subscription draw from: the queue of one topic, or those of several.
pub(super) struct Feed<T> {
    pub(super) subscriber: Arc<str>,
    /// The names of the topics, as the intakes stand.
    pub(super) names: Vec<Arc<str>>,
    pub(super) intakes: Vec<Intake<Message<T>>>,
    pub(super) turns: Option<Mutex<Turns>>,
    pub(super) batch_max: usize,
    pub(super) aborted: CancellationToken,
}

/// Which topic a message came by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(usize);

impl<T> Feed<T> {
    /// Waits for one message and takes it; returns which topic it came by.
    pub(super) async fn next(&self) -> Option<(Message<T>, Ticket)> {
        let mut next = None;
        let give = |at, message| next = Some((message, Ticket(at)));
        Drawing::new(&self.intakes, self.turns.as_ref(), 1, give).await;
        next
    }

    /// The name of the topic that a message came by.
    pub(super) fn topic(&self, ticket: Ticket) -> &Arc<str> {
        &self.names[ticket.0]
    }
}

impl<T: Send + Sync> Inlet<T> for Feed<T> {
    type Ticket = Ticket;

    async fn draw(&self, max: usize, into: &mut Vec<Envelope<T, Ticket>>) -> usize {
        let give = |at, message| into.push(Envelope { message, ticket: Ticket(at), attempts: 0 });
        Drawing::new(&self.intakes, self.turns.as_ref(), max.min(self.batch_max), give).await
    }

    fn settle(&self, ticket: Ticket, settled: Settled) {
        self.intakes[ticket.0].end(|tally| match settled {
            Settled::Handled => &tally.handled,
            Settled::Dead => &tally.dead,
            Settled::Parked => &tally.parked,
            // A queue takes nothing back: its order would be broken.
            Settled::Released => &tally.released,
        });
    }

    fn repeated(&self, ticket: &Ticket) {
        self.intakes[ticket.0].end(|tally| &tally.redelivered);
    }

    fn destination(&self, ticket: &Ticket) -> Option<&Arc<str>> {
        Some(self.topic(*ticket))
    }
}
