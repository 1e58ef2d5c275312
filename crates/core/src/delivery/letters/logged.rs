use futures::future::{BoxFuture, ready};

use super::{DeadLetters, Error, Fate, Letter, LetterId, Select};

/// Writes dead letters to the log and forgets them. No key is parked.
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

    fn list<'a>(&'a self, _: &'a Select) -> BoxFuture<'a, Result<Vec<Letter<T>>, Error>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn amend<'a>(&'a self, _: LetterId, _: &'a Fate) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn take(&self, _: LetterId) -> BoxFuture<'_, Result<Option<Letter<T>>, Error>> {
        Box::pin(ready(Ok(None)))
    }
}
