use std::task::{self, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use steadfast::base::{Classify, Context, Seed};
use steadfast::guard::fallback::{LastGood, LastGoodPolicy};
use steadfast::guard::stack::{self, OutgoingSettings, OutgoingStack, Stack};
use steadfast::guard::{FallbackLayer, Registry};
use tonic::Status;
use tonic::transport::Channel;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use super::question::{Level, Question};
use crate::orders::domain::Sku;
use crate::orders::process::{CallError, is_timeout, request};
use crate::proto::inventory::LevelRequest;
use crate::proto::inventory::inventory_client::InventoryClient;

/// How many articles' last answers are kept, and for how long they may stand in.
const LAST_GOOD: LastGoodPolicy = LastGoodPolicy { entries_max: 10_000, age_max: Duration::from_secs(300) };

/// The last good answer to the question for the same article, marked with its age.
pub type Fallback = FallbackLayer<LastGood<fn(&Question) -> Option<Sku>, Sku, Level>>;

/// Asks inventory through guards; cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Reader {
    stack: OutgoingStack<Fallback>,
    fallback: Fallback,
    service: BoxCloneSyncService<Question, Level, CallError>,
}

impl Reader {
    /// Makes a reader that asks over `inventory`, with guards before it, of which `breakers` lists the breaker.
    ///
    /// # Errors
    /// The guards cannot be set like that.
    pub fn new(
        inventory: &Channel,
        breakers: &Registry,
        guards: &OutgoingSettings,
        seed: Seed,
    ) -> Result<Self, stack::Error> {
        let fallback = fallback();
        let stack = Stack::outgoing("stock")
            .registry(breakers)
            .seed(seed.derive("stock"))
            .fallback(fallback.clone())
            .configured(guards)?;
        tracing::info!("guards of questions for stock:\n{stack}");
        let transport = Transport { channel: inventory.clone() };
        Ok(Self { service: BoxCloneSyncService::new(stack.layer(transport)), stack, fallback })
    }

    /// Returns the guards.
    pub fn stack(&self) -> &OutgoingStack<Fallback> {
        &self.stack
    }

    /// Returns how many answers stood in for others so far.
    pub fn substituted(&self) -> u64 {
        self.fallback.substituted()
    }

    /// Asks through the guards.
    ///
    /// # Errors
    /// [`CallError`], where there is no last answer either.
    pub async fn level(&self, question: Question) -> Result<Level, CallError> {
        self.service.clone().oneshot(question).await
    }
}

fn fallback() -> Fallback {
    FallbackLayer::last_good_marked(
        LAST_GOOD,
        |question: &Question| Some(question.sku().clone()),
        |level, age| {
            level.age = Some(age);
        },
    )
}

/// Sends a question, with what is left of its time.
#[derive(Debug, Clone)]
struct Transport {
    channel: Channel,
}

impl Service<Question> for Transport {
    type Response = Level;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Level, CallError>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        // The channel is asked within the call, where the deadline bounds the wait for it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: Question) -> Self::Future {
        let channel = self.channel.clone();
        Box::pin(async move {
            match send(channel, &question).await {
                Ok(level) => Ok(level),
                // Whose time it was is for the guards to say, who drop this call when it is up.
                Err(status) if question.deadline().is_some() && is_timeout(&status) => {
                    std::future::pending().await
                }
                Err(status) => Err(status.into()),
            }
        })
    }
}

async fn send(channel: Channel, question: &Question) -> Result<Level, Status> {
    let message = LevelRequest { sku: question.sku().to_string() };
    let (head, answer, _) =
        InventoryClient::new(channel).level(request(&message, question)?).await?.into_parts();
    let mut head_only = axum::http::Response::new(());
    *head_only.headers_mut() = head.into_headers();
    Ok(Level { free: answer.free, age: None, service_time: head_only.service_time() })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use steadfast::guard::stack::Error;
    use tower::service_fn;

    use super::*;
    use crate::orders::guards::Guards;

    fn question(sku: &str) -> Question {
        Question::new(sku.parse().expect("a SKU"), None, None)
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_answer_for_the_same_article_stands_in_and_says_how_old_it_is() {
        let is_away = AtomicBool::new(false);
        let layer = fallback();
        let ask = async |sku: &str| {
            let service =
                layer.layer(service_fn(async |question: Question| match is_away.load(Ordering::Relaxed) {
                    true => Err(CallError::from(Status::unavailable("away"))),
                    false if question.sku().as_str() == "wrong" => {
                        Err(Status::invalid_argument("no SKU").into())
                    }
                    false => Ok(Level { free: 7, age: None, service_time: None }),
                }));
            service.oneshot(question(sku)).await
        };
        assert_eq!(ask("a").await.expect("it answers").age, None);
        tokio::time::advance(Duration::from_secs(5)).await;
        is_away.store(true, Ordering::Relaxed);
        let stands_in = ask("a").await.expect("it answered once");
        assert_eq!((stands_in.free, stands_in.age), (7, Some(Duration::from_secs(5))));
        assert!(ask("b").await.is_err(), "of another article nothing is known");
        tokio::time::advance(LAST_GOOD.age_max).await;
        assert!(ask("a").await.is_err(), "it is too old");
        is_away.store(false, Ordering::Relaxed);
        assert!(ask("wrong").await.is_err_and(|error| error.is_refusal()));
        assert_eq!(layer.substituted(), 1);
    }

    #[test]
    fn what_reserves_has_no_place_for_a_fallback() {
        let guards = Guards::default();
        assert!(guards.stock.fallback && !guards.inventory.fallback && !guards.payment.fallback);
        let reserving =
            Stack::outgoing("inventory").configured(&guards.inventory).expect("the defaults can be");
        let with_fallback = OutgoingSettings { fallback: true, ..guards.inventory };
        assert_eq!(reserving.apply(&with_fallback), Err(Error::NotNamed { guard: "fallback" }));
    }
}
