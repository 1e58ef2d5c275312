use futures::future::{BoxFuture, ready};

use super::{DeadLetters, Error, Fate, Letter, LetterId, LetterQuery};

/// Writes dead letters to the log and forgets them: they are lost, and no key is parked.
///
/// It is what [`Handling`](crate::delivery::Handling) has by default. To put it there oneself says that this is
/// meant; otherwise a warning is logged where it matters, when a transport's events or messages in order per key are
/// handled.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggedDeadLetters;

impl<T: Send + Sync + 'static> DeadLetters<T> for LoggedDeadLetters {
    fn keeps(&self) -> bool {
        false
    }

    fn put<'a>(&'a self, letter: &'a Letter<T>) -> BoxFuture<'a, Result<LetterId, Error>> {
        let Letter { destination, subscriber, message, fate, .. } = letter;
        let key = message.about().key.as_deref();
        tracing::error!(destination = &**destination, subscriber = &**subscriber, key, %fate, "a message is dead");
        Box::pin(ready(Ok(LetterId::default())))
    }

    fn list<'a>(&'a self, _: &'a LetterQuery) -> BoxFuture<'a, Result<Vec<Letter<T>>, Error>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn amend<'a>(&'a self, _: LetterId, _: &'a Fate) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn take(&self, _: LetterId) -> BoxFuture<'_, Result<Option<Letter<T>>, Error>> {
        Box::pin(ready(Ok(None)))
    }
}

/// What stands in for a choice: [`LoggedDeadLetters`], with a warning where that matters.
#[derive(Debug, Clone, Copy)]
pub(in crate::delivery) struct Unchosen;

impl<T: Send + Sync + 'static> DeadLetters<T> for Unchosen {
    fn keeps(&self) -> bool {
        false
    }

    fn is_unchosen(&self) -> bool {
        true
    }

    fn put<'a>(&'a self, letter: &'a Letter<T>) -> BoxFuture<'a, Result<LetterId, Error>> {
        LoggedDeadLetters.put(letter)
    }

    fn list<'a>(&'a self, select: &'a LetterQuery) -> BoxFuture<'a, Result<Vec<Letter<T>>, Error>> {
        LoggedDeadLetters.list(select)
    }

    fn amend<'a>(&'a self, id: LetterId, fate: &'a Fate) -> BoxFuture<'a, Result<(), Error>> {
        <LoggedDeadLetters as DeadLetters<T>>::amend(&LoggedDeadLetters, id, fate)
    }

    fn take(&self, id: LetterId) -> BoxFuture<'_, Result<Option<Letter<T>>, Error>> {
        LoggedDeadLetters.take(id)
    }
}
