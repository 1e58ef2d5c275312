use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
use futures::StreamExt;
use steadfast_core::Event;
use steadfast_core::transport::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::place::{self, Place};
use super::shared::Shared;
use super::{error, message};

/// How long a request for messages stays open.
const OPEN: Duration = Duration::from_secs(5);
/// How much longer its end is waited for.
const SLACK: Duration = Duration::from_secs(1);
const BATCH_MAX: usize = 256;
/// How long to wait between looks for messages that somebody else was given.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// Pulls the messages of one shard that is ours, in order and without a gap.
///
/// Each delivery of a consumer has a number, one more than that before it. A gap means that a delivery went elsewhere:
/// to a connection that was lost, or to a receiver that did not know yet that the shard is not its own. Then nothing
/// later is handed out until every message that the server has given to anybody is acknowledged or here.
pub(super) struct Puller {
    shard: u32,
    consumer: String,
    client: Client,
    place: Place,
    shared: Arc<Shared>,
    stop: CancellationToken,
    generation: watch::Receiver<u64>,
    inbox: String,
    messages: Subscriber,
    /// The number of the next delivery.
    next: u64,
    /// How many messages are asked for and have not come.
    asked: usize,
    asked_until: Instant,
}

/// A message as it was delivered.
struct Delivered {
    /// Its place in the stream.
    id: u64,
    /// The number of the delivery.
    number: u64,
    redeliveries: u32,
    reply: Subject,
    event: Result<Event, String>,
    message: Message,
}

impl Puller {
    pub(super) async fn new(
        shard: u32,
        group: &str,
        client: Client,
        place: Place,
        shared: Arc<Shared>,
        generation: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let inbox = client.new_inbox();
        let messages =
            client.subscribe(inbox.clone()).await.map_err(|error| error::asked("subscribing", error))?;
        let consumer = place::consumer(group, shard);
        let (next, asked, asked_until) = (0, 0, Instant::now());
        Ok(Self {
            shard,
            consumer,
            client,
            place,
            shared,
            stop,
            generation,
            inbox,
            messages,
            next,
            asked,
            asked_until,
        })
    }

    /// Pulls until it is stopped; then what was on its way goes back to the server.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut wait = LOOK_AGAIN.0;
        loop {
            self.generation.mark_unchanged();
            match stop.run_until_cancelled(self.pull()).await {
                None => break,
                Some(Ok(())) => wait = LOOK_AGAIN.0,
                Some(Err(error)) => {
                    tracing::debug!(consumer = self.consumer, %error, "pulling failed");
                    if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                        break;
                    }
                    wait = (wait * 2).min(LOOK_AGAIN.1);
                }
            }
        }
        let _ = tokio::time::timeout(SLACK, self.give_back()).await;
    }

    /// Pulls until there is a gap or the connection changes.
    async fn pull(&mut self) -> Result<(), Error> {
        self.recover(None).await?;
        loop {
            if self.asked == 0 {
                let shared = Arc::clone(&self.shared);
                let room = shared.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                let count = self.shared.state.lock().room_of(self.shard).min(BATCH_MAX);
                if count == 0 {
                    tokio::select! {
                        () = room => {}
                        _ = self.generation.changed() => return Ok(()),
                    }
                    continue;
                }
                self.ask(count, Some(OPEN)).await?;
            }
            tokio::select! {
                message = self.messages.next() => {
                    let message = message.ok_or_else(|| error::unavailable("the subscription has ended"))?;
                    let Some(delivered) = self.open(message)? else { continue };
                    if delivered.number == self.next {
                        self.next += 1;
                        self.take(delivered).await;
                        self.shared.ready.notify_waiters();
                    } else {
                        self.recover(Some(delivered)).await?;
                    }
                }
                () = tokio::time::sleep_until(self.asked_until) => self.asked = 0,
                _ = self.generation.changed() => return Ok(()),
            }
        }
    }

    /// Asks for up to `count` messages: for those that are there, or for those that come while the request is open.
    async fn ask(&mut self, count: usize, open: Option<Duration>) -> Result<(), Error> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.place.config.stream, self.consumer);
        let request = match open {
            Some(open) => serde_json::json!({"batch": count, "expires": open.as_nanos() as u64}),
            None => serde_json::json!({"batch": count, "no_wait": true}),
        };
        self.client
            .publish_with_reply(subject, self.inbox.clone(), request.to_string().into())
            .await
            .map_err(|error| error::asked("pulling", error))?;
        self.asked = count;
        self.asked_until = Instant::now() + open.unwrap_or(self.place.config.answer_within.0) + SLACK;
        Ok(())
    }

    /// Takes a message of the server apart; none if it says that a request has ended.
    fn open(&mut self, message: Message) -> Result<Option<Delivered>, Error> {
        match message.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND | StatusCode::REQUEST_TERMINATED) => {
                self.asked = 0;
                return Ok(None);
            }
            Some(StatusCode::IDLE_HEARTBEAT) => return Ok(None),
            Some(status) => {
                self.asked = 0;
                let said = message.description.unwrap_or_default();
                return Err(error::unavailable(format!("the server answers {status}: {said}")));
            }
        }
        self.asked = self.asked.saturating_sub(1);
        let Some(reply) = message.reply.clone() else { return Ok(None) };
        let message = jetstream::Message { message, context: self.place.context.clone() };
        let Ok(info) = message.info() else { return Ok(None) };
        let (id, number) = (info.stream_sequence, info.consumer_sequence);
        let redeliveries = u32::try_from(info.delivered.saturating_sub(1)).unwrap_or_default();
        let event = message::decode(&message.message, info.published.into());
        Ok(Some(Delivered { id, number, redeliveries, reply, event, message: message.message }))
    }

    /// Waits until every message that the server has given to anybody is acknowledged or here.
    async fn recover(&mut self, first: Option<Delivered>) -> Result<(), Error> {
        let mut aside: BTreeMap<u64, Delivered> =
            first.into_iter().map(|message| (message.id, message)).collect();
        let mut wait = LOOK_AGAIN.0;
        self.asked = 0;
        loop {
            // What is settled meanwhile is counted by the server and not here: one look more, never one too few.
            let info = self.place.info(&self.consumer).await?;
            // A server that was killed may have forgotten its last deliveries: it does not count those behind this one.
            let last = info.delivered.stream_sequence;
            let here = {
                let mut state = self.shared.state.lock();
                if state.shard(self.shard).is_none_or(|shard| shard.giving) {
                    return Ok(());
                }
                aside.retain(|id, message| !state.renew(self.shard, *id, &message.reply));
                state.unsettled_to(self.shard, last) + aside.range(..=last).count()
            };
            let elsewhere = info.num_ack_pending.saturating_sub(here);
            self.next = info.delivered.consumer_sequence + 1;
            if elsewhere == 0 {
                break;
            }
            self.ask(elsewhere.min(BATCH_MAX), None).await?;
            let mut again = false;
            while self.asked > 0 {
                let next = tokio::time::timeout_at(self.asked_until, self.messages.next()).await;
                let message = next.map_err(|_| error::unavailable("no answer to a pull"))?;
                let message = message.ok_or_else(|| error::unavailable("the subscription has ended"))?;
                if let Some(message) = self.open(message)? {
                    again |= message.redeliveries > 0;
                    aside.insert(message.id, message);
                }
            }
            if again {
                wait = LOOK_AGAIN.0;
            } else {
                // They come again once whoever has them gives them back, or has been silent for long enough.
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LOOK_AGAIN.1);
            }
        }
        for message in aside.into_values() {
            self.take(message).await;
        }
        self.shared.ready.notify_waiters();
        Ok(())
    }

    async fn take(&self, delivered: Delivered) {
        let Delivered { id, redeliveries, reply, event, message, .. } = delivered;
        match event {
            Ok(event) => self.shared.state.lock().take(self.shard, id, reply, event, redeliveries),
            Err(problem) => {
                tracing::warn!(subject = %message.subject, id, problem, "a message is no event: put aside");
                let subject = self.place.config.refused();
                let headers = message.headers.unwrap_or_default();
                // If the stream has no room for the copy, the message itself is still in it.
                let _ = self.client.publish_with_headers(subject, headers, message.payload).await;
                let _ = self.client.publish(reply, "+TERM".into()).await;
            }
        }
    }

    /// Gives back what was on its way here.
    async fn give_back(&mut self) {
        let _ = self.messages.unsubscribe().await;
        let _ = self.client.flush().await;
        while let Some(message) = self.messages.next().await {
            if let Ok(Some(message)) = self.open(message) {
                let _ = self.client.publish(message.reply, "-NAK".into()).await;
            }
        }
        let _ = self.client.flush().await;
    }
}
