//! Events that were handed out again and again without a word of what became of them: one of them may be what kills
//! its process.
//!
//! A suspect is given to the dispatcher alone, after a letter is kept that accuses it. If it is handled, or given
//! back, the letter is removed before the transport is told. If the process dies, the letter is found when the event
//! comes again, and it is not attempted any more.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::Event;
use crate::delivery::{
    Cause, DeadLetters, DeadLettersError, Fate, Handling, Letter, LetterId, LetterQuery, Message,
};
use crate::transport::{Outcome, Received, Settlement, Token};

/// What tells suspects, and the dead letters as the dispatcher of one run sees them: without accusations.
pub(super) struct Suspects {
    letters: Arc<dyn DeadLetters<Event>>,
    destination: Arc<str>,
    subscriber: Arc<str>,
    clock: Arc<dyn steadfast_base::Clock>,
    /// After how many times that an event was handed out it is a suspect.
    after: u32,
    /// Those of this run.
    accusations: Mutex<Vec<Accusation>>,
    accused: Arc<Accused>,
}

/// A letter that stands as long as its event is in hand.
#[derive(Clone)]
struct Accusation {
    token: Token,
    letter: Letter<Event>,
    progress: Progress,
    /// What the transport is to be told once the letter is removed.
    settlement: Option<Settlement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Begun,
    /// It may be kept, although nobody has heard of it.
    Put,
    Kept(LetterId),
    Leaving(LetterId),
}

/// The events whose letters are accusations, over all runs of a consumer.
///
/// After a lost connection two runs may have one event in hand. So what one of them has accused is no letter to the
/// others: it neither shows that a process died, nor is it replayed, nor does it park its key.
#[derive(Default)]
pub(super) struct Accused {
    events: Mutex<HashMap<Arc<str>, Standing>>,
    /// The turn to make an accusation a letter, or to remove it.
    turn: tokio::sync::Mutex<()>,
}

struct Standing {
    letter: Option<LetterId>,
    partition_key: Option<Arc<str>>,
}

impl Accused {
    fn key(letter: &Letter<Event>) -> Arc<str> {
        letter.message.about().key.clone().unwrap_or_default()
    }

    /// Says whether nobody else has accused the event.
    fn begin(&self, letter: &Letter<Event>) -> bool {
        let partition_key = letter.message.about().partition_key.clone();
        let standing = Standing { letter: None, partition_key };
        let mut events = self.events.lock();
        let is_first = !events.contains_key(&Self::key(letter));
        if is_first {
            events.insert(Self::key(letter), standing);
        }
        is_first
    }

    fn kept(&self, letter: &Letter<Event>, id: LetterId) {
        if let Some(standing) = self.events.lock().get_mut(&Self::key(letter)) {
            standing.letter = Some(id);
        }
    }

    /// Says whether the event's letter was an accusation until now.
    fn end(&self, letter: &Letter<Event>) -> bool {
        self.events.lock().remove(&Self::key(letter)).is_some()
    }

    fn letters(&self) -> Vec<LetterId> {
        self.events.lock().values().filter_map(|standing| standing.letter).collect()
    }

    fn parks(&self, partition_key: &str) -> bool {
        self.events.lock().values().any(|standing| standing.partition_key.as_deref() == Some(partition_key))
    }
}

/// What has become of an accusation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The event is to be given alone.
    Now,
    /// The event was in hand alone when its process died, or is a letter for another reason.
    Before,
    /// The event is accused by another run or parked behind letters of its key, or there is no room for its letter.
    Other,
}

impl Suspects {
    pub(super) fn new(
        handling: &Handling<Event>,
        destination: &str,
        subscriber: &Arc<str>,
        after: u32,
        accused: &Arc<Accused>,
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
    pub(super) async fn accuse(&self, received: &Received) -> Result<Verdict, DeadLettersError> {
        let token = received.token;
        let known = self.accusations.lock().iter().find(|known| known.token == token).cloned();
        let accusation = match known {
            Some(accusation) => accusation,
            None => {
                let letter = self.letter(received);
                if !self.accused.begin(&letter) {
                    return Ok(Verdict::Other);
                }
                let accusation = Accusation { token, letter, progress: Progress::Begun, settlement: None };
                self.accusations.lock().push(accusation.clone());
                accusation
            }
        };
        let letter = &accusation.letter;
        if accusation.progress == Progress::Begun {
            let is_kept = self.is_kept(&letter.message).await?;
            let key = letter.message.about().partition_key.as_ref();
            let holds = |key: &Arc<str>| self.letters.holds(&self.destination, &self.subscriber, key);
            if is_kept || key.and_then(holds) == Some(true) {
                self.drop_accusation(token);
                return Ok(if is_kept { Verdict::Before } else { Verdict::Other });
            }
            self.change(token, |accusation| accusation.progress = Progress::Put);
        }
        match self.letters.put(letter).await {
            Ok(id) => {
                self.accused.kept(letter, id);
                self.change(token, |accusation| accusation.progress = Progress::Kept(id));
                Ok(Verdict::Now)
            }
            // It is attempted without, as it would be where nothing keeps letters.
            Err(DeadLettersError::Full { .. }) => {
                self.drop_accusation(token);
                Ok(Verdict::Other)
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
        let ended = |accusation: &&Accusation| accusation.settlement.is_some();
        let Some(accusation) = self.accusations.lock().iter().find(ended).cloned() else { return Ok(None) };
        let Accusation { token, letter, progress, settlement } = accusation;
        let _turn = self.accused.turn.lock().await;
        let id = match progress {
            Progress::Begun => None,
            Progress::Leaving(id) => Some(id),
            // Another run may have made it a letter of its own.
            _ if !self.accused.end(&letter) => None,
            Progress::Kept(id) => Some(id),
            // It may be kept although nobody heard of it; putting it again tells.
            Progress::Put => {
                self.accused.begin(&letter);
                let id = self.letters.put(&letter).await?;
                self.accused.end(&letter);
                Some(id)
            }
        };
        if let Some(id) = id {
            self.change(token, |accusation| accusation.progress = Progress::Leaving(id));
            self.letters.take(id).await?;
        }
        self.drop_accusation(token);
        Ok(settlement)
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
        let mut accusations = self.accusations.lock();
        for dropped in accusations.extract_if(.., |accusation| accusation.token == token) {
            dropped.end(&self.accused);
        }
    }
}

impl Accusation {
    /// Notes that the event is accused by this no longer.
    fn end(&self, accused: &Accused) {
        // Once it leaves, the same event may be accused anew by another run.
        if !matches!(self.progress, Progress::Leaving(_)) {
            accused.end(&self.letter);
        }
    }
}

impl Drop for Suspects {
    fn drop(&mut self) {
        for accusation in self.accusations.get_mut() {
            accusation.end(&self.accused);
        }
    }
}

impl DeadLetters<Event> for Suspects {
    fn keeps(&self) -> bool {
        self.letters.keeps()
    }

    fn holds(&self, destination: &str, subscriber: &str, partition_key: &str) -> Option<bool> {
        let holds = self.letters.holds(destination, subscriber, partition_key);
        // There was no letter of the key before one of its events was accused.
        holds.map(|holds| holds && !self.accused.parks(partition_key))
    }

    fn put<'a>(&'a self, letter: &'a Letter<Event>) -> BoxFuture<'a, Result<LetterId, DeadLettersError>> {
        Box::pin(async move {
            let _turn = self.accused.turn.lock().await;
            let was_accused = self.accused.end(letter);
            let id = self.letters.put(letter).await?;
            if was_accused {
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
            let hidden = self.accused.letters();
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

/// Says what a transport is told of an event that was [accused before](Verdict::Before).
pub(super) fn dead(received: &Received) -> Settlement {
    let (id, redeliveries) = (received.event.id(), received.redeliveries);
    tracing::error!(%id, redeliveries, "an event is dead: whoever handled it did not come back");
    Settlement { token: received.token, outcome: Outcome::Handled }
}
