//! Dead letters are asked again until they answer, for no message may be settled before that.

use std::time::Duration;

use futures::future::BoxFuture;

use super::Inlet;
use super::letters::{Error, Fate, Letter, LetterId, LetterQuery};
use super::shared::Shared;

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Shared<T, I> {
    pub(super) async fn put(&self, letter: &Letter<T>) -> LetterId {
        self.insist("a message waits to be kept", || self.handling.dead_letters.put(letter)).await
    }

    pub(super) async fn amend(&self, id: LetterId, fate: &Fate) {
        self.insist("a letter waits to be amended", || self.handling.dead_letters.amend(id, fate)).await;
    }

    pub(super) async fn remove(&self, id: LetterId) {
        self.insist("a letter waits to be removed", || self.handling.dead_letters.take(id)).await;
    }

    pub(super) async fn list(&self, select: &LetterQuery) -> Vec<Letter<T>> {
        self.insist("nothing is drawn before it is known what is parked", || {
            self.handling.dead_letters.list(select)
        })
        .await
    }

    async fn insist<'a, R>(
        &self,
        what: &'static str,
        ask: impl Fn() -> BoxFuture<'a, Result<R, Error>> + Send,
    ) -> R {
        let backoff = self.handling.redelivery.backoff;
        let mut rng = self.handling.redelivery.seed.stream("dead letters");
        let mut failures = 0;
        loop {
            let error = match tokio::time::timeout(self.attempt_timeout, ask()).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => error,
                Err(_) => Error::unavailable("no answer in the time of one attempt"),
            };
            let (destination, subscriber) = (&*self.destination, &*self.subscriber);
            tracing::warn!(destination, subscriber, %error, "dead letters do not answer: {what}");
            // Without the least wait, a back-off of zero would ask without end.
            tokio::time::sleep(backoff.delay(failures, &mut rng).max(Duration::from_millis(1))).await;
            failures = failures.saturating_add(1);
        }
    }
}
