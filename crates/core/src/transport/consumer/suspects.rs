//! Events that were handed out again and again without a word of what became of them: one of them may be what kills
//! its process.
//!
//! A suspect is given to the dispatcher alone, after a letter is kept that accuses it. If it is handled, or given
//! back, the letter is removed before the transport is told. If the process dies, the letter is found when the event
//! comes again, and it is not attempted any more.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::Event;
use crate::delivery::{
    Cause, DeadLetters, DeadLettersError, Fate, Handling, Letter, LetterId, LetterQuery, Message,
};
use crate::transport::{Outcome, Received, Settlement, Token};

/// What tells suspects, and the dead letters as the dispatcher sees them: without accusations.
pub(super) struct Suspects {
    letters: Arc<dyn DeadLetters<Event>>,
    destination: Arc<str>,
    subscriber: Arc<str>,
    clock: Arc<dyn steadfast_base::Clock>,
    /// After how many times that an event was handed out it is a suspect.
    after: u32,
    accusations: Mutex<Vec<Accusation>>,
    accused: Accusations,
}

/// The letters that stand as accusations, of all runs of a consumer: none of them is to be replayed.
pub(super) type Accusations = Arc<Mutex<HashSet<LetterId>>>;

/// A letter that stands as long as its event is in hand.
struct Accusation {
    token: Token,
    letter: Letter<Event>,
    /// What the letter is known by; none until it is said to be kept.
    kept: Option<LetterId>,
    /// What the transport is to be told once the letter is removed.
    settlement: Option<Settlement>,
}

impl Suspects {
    pub(super) fn new(
        handling: &Handling<Event>,
        destination: &str,
        subscriber: &Arc<str>,
        after: u32,
        accused: &Accusations,
    ) -> Self {
        Self {
            letters: Arc::clone(&handling.dead_letters),
            destination: destination.into(),
            subscriber: Arc::clone(subscriber),
            clock: Arc::clone(&handling.clock),
            after: after.max(1),
            accusations: Mutex::default(),
            accused: Arc::clone(accused),
        }
    }

    /// Says whether an event is to be given alone, after [`accuse`](Self::accuse).
    pub(super) fn is_suspect(&self, received: &Received) -> bool {
        received.redeliveries >= self.after && self.letters.keeps()
    }

    /// Looks at what was received.
    pub(super) fn look(&self, events: &[Received]) {
        for Received { event, redeliveries, .. } in events {
            if *redeliveries == self.after && !self.letters.keeps() {
                let id = event.id();
                tracing::warn!(%id, redeliveries, "an event comes again and again, and nothing keeps dead letters");
            }
        }
    }

    /// Accuses an event, or says that it was accused before: then it is not to be attempted.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the accusation is kept; accusing again is recognised.
    pub(super) async fn accuse(&self, received: &Received) -> Result<Accused, DeadLettersError> {
        let token = received.token;
        let known = self.accusations.lock().iter().find(|known| known.token == token).map(Accusation::letter);
        let letter = match known {
            Some(letter) => letter,
            None => {
                let letter = self.letter(received);
                if self.is_kept(&letter.message).await? {
                    return Ok(Accused::Before);
                }
                let key = letter.message.about().partition_key.as_ref();
                let holds = |key: &Arc<str>| self.letters.holds(&self.destination, &self.subscriber, key);
                if key.and_then(holds) == Some(true) {
                    return Ok(Accused::Not);
                }
                let accusation = Accusation { token, letter: letter.clone(), kept: None, settlement: None };
                self.accusations.lock().push(accusation);
                letter
            }
        };
        match self.letters.put(&letter).await {
            Ok(id) => {
                self.accused.lock().insert(id);
                self.change(token, |accusation| accusation.kept = Some(id));
                Ok(Accused::Now)
            }
            // It is attempted without, as it would be where nothing keeps letters.
            Err(DeadLettersError::Full { .. }) => {
                self.drop_accusation(token);
                Ok(Accused::Not)
            }
            Err(error) => Err(error),
        }
    }

    fn letter(&self, received: &Received) -> Letter<Event> {
        let cause = Cause::Lost;
        Letter {
            id: LetterId::default(),
            destination: Arc::clone(&self.destination),
            subscriber: Arc::clone(&self.subscriber),
            message: Message::of_event(received.event.clone()),
            fate: Fate::Dead { cause, attempts: received.redeliveries, first_failed: self.clock.now() },
        }
    }

    /// Says whether a letter of this message is kept.
    async fn is_kept(&self, message: &Message<Event>) -> Result<bool, DeadLettersError> {
        const PAGE: usize = 256;
        let mut select = LetterQuery {
            destination: Some(Arc::clone(&self.destination)),
            subscriber: Some(Arc::clone(&self.subscriber)),
            partition_key: message.about().partition_key.clone(),
            limit: PAGE,
            ..LetterQuery::default()
        };
        loop {
            let letters = self.letters.list(&select).await?;
            if letters.iter().any(|letter| letter.message.about().key == message.about().key) {
                return Ok(true);
            }
            match letters.last() {
                Some(last) if letters.len() == PAGE => select.after = last.id,
                _ => return Ok(false),
            }
        }
    }

    /// Takes note of what became of an event; says whether the transport may be told at once. Otherwise it is once
    /// [`absolve`](Self::absolve) says so.
    pub(super) fn ended(&self, settlement: Settlement, is_letter: bool) -> bool {
        if is_letter {
            // The accusation has become the letter itself.
            self.drop_accusation(settlement.token);
            return true;
        }
        !self.change(settlement.token, |accusation| accusation.settlement = Some(settlement))
    }

    /// Removes the next accusation that has no ground any more and returns what the transport may be told.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the accusation; it is removed by the next call.
    pub(super) async fn absolve(&self) -> Result<Option<Settlement>, DeadLettersError> {
        let ended = |accusation: &Accusation| {
            accusation.settlement.map(|settlement| (settlement, accusation.kept, accusation.letter()))
        };
        let Some((settlement, kept, letter)) = self.accusations.lock().iter().find_map(ended) else {
            return Ok(None);
        };
        let id = match kept {
            Some(id) => id,
            // It may be kept although nobody heard of it; putting it again tells.
            None => self.letters.put(&letter).await?,
        };
        self.letters.take(id).await?;
        self.drop_accusation(settlement.token);
        Ok(Some(settlement))
    }

    /// Returns how many events have ended whose accusation is not removed yet.
    pub(super) fn unabsolved(&self) -> usize {
        self.accusations.lock().iter().filter(|accusation| accusation.settlement.is_some()).count()
    }

    fn change(&self, token: Token, change: impl FnOnce(&mut Accusation)) -> bool {
        let mut accusations = self.accusations.lock();
        accusations.iter_mut().find(|accusation| accusation.token == token).map(change).is_some()
    }

    fn drop_accusation(&self, token: Token) {
        let is_meant = |accusation: &mut Accusation| accusation.token == token;
        for kept in self.accusations.lock().extract_if(.., is_meant).filter_map(|dropped| dropped.kept) {
            self.accused.lock().remove(&kept);
        }
    }
}

impl Drop for Suspects {
    fn drop(&mut self) {
        let mut accused = self.accused.lock();
        for kept in self.accusations.get_mut().iter().filter_map(|accusation| accusation.kept) {
            accused.remove(&kept);
        }
    }
}

impl Accusation {
    fn letter(&self) -> Letter<Event> {
        self.letter.clone()
    }

    fn partition_key(&self) -> Option<&str> {
        self.letter.message.about().partition_key.as_deref()
    }
}

/// What has become of an accusation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accused {
    /// The event is to be given alone.
    Now,
    /// The event was in hand alone when its process died, or is a letter for another reason.
    Before,
    /// The event is parked behind letters of its key, or there is no room for another letter.
    Not,
}

impl DeadLetters<Event> for Suspects {
    fn keeps(&self) -> bool {
        self.letters.keeps()
    }

    fn holds(&self, destination: &str, subscriber: &str, partition_key: &str) -> Option<bool> {
        // There was no letter of this key before it was accused.
        let is_accused = |accusation: &Accusation| accusation.partition_key() == Some(partition_key);
        if self.accusations.lock().iter().any(is_accused) {
            return self.letters.holds(destination, subscriber, partition_key).map(|_| false);
        }
        self.letters.holds(destination, subscriber, partition_key)
    }

    fn put<'a>(&'a self, letter: &'a Letter<Event>) -> BoxFuture<'a, Result<LetterId, DeadLettersError>> {
        Box::pin(async move {
            let id = self.letters.put(letter).await?;
            if self.accused.lock().contains(&id) {
                self.letters.amend(id, &letter.fate).await?;
            }
            Ok(id)
        })
    }

    fn list<'a>(
        &'a self,
        select: &'a LetterQuery,
    ) -> BoxFuture<'a, Result<Vec<Letter<Event>>, DeadLettersError>> {
        Box::pin(async move {
            let hidden = self.accused.lock().clone();
            let limit = if select.limit == 0 { 0 } else { select.limit + hidden.len() };
            let mut letters = self.letters.list(&LetterQuery { limit, ..select.clone() }).await?;
            letters.retain(|letter| !hidden.contains(&letter.id));
            letters.truncate(if select.limit == 0 { usize::MAX } else { select.limit });
            Ok(letters)
        })
    }

    fn amend<'a>(&'a self, id: LetterId, fate: &'a Fate) -> BoxFuture<'a, Result<(), DeadLettersError>> {
        self.letters.amend(id, fate)
    }

    fn take(&self, id: LetterId) -> BoxFuture<'_, Result<Option<Letter<Event>>, DeadLettersError>> {
        self.letters.take(id)
    }
}

/// Says what a transport is told of an event that was [accused before](Accused::Before).
pub(super) fn dead(received: &Received) -> Settlement {
    let (id, redeliveries) = (received.event.id(), received.redeliveries);
    tracing::error!(%id, redeliveries, "an event is dead: whoever handled it did not come back");
    Settlement { token: received.token, outcome: Outcome::Handled }
}
