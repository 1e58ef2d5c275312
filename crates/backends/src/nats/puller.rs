use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
use super::shared::{Messages, Shared};
use super::{error, message};
use crate::sharded::State;

/// How long a request for messages stays open.
const OPEN: Duration = Duration::from_secs(5);
/// How much longer its end is waited for.
const SLACK: Duration = Duration::from_secs(1);
const BATCH_MAX: usize = 256;
/// How long nothing must come, and how long is waited for that, before a subscription is ended.
const QUIET: Duration = Duration::from_millis(50);
const COME_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait between looks for messages that somebody else was given.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// Pulls the messages of one shard that is ours, in order and without a gap.
///
/// Each delivery of a consumer has a number, one more than that before it. A gap means that a delivery went elsewhere:
/// to a connection that was lost, or to a receiver that did not know yet that the shard is not its own. Then nothing
/// later is handed out until every message that the server has given to anybody is acknowledged or here.
///
/// A server that was killed has forgotten its last deliveries and counts on from an earlier one. So numbers mean nothing
/// across connections, and what was put aside and is not counted as delivered any more is dropped: what is before it
/// may have gone elsewhere and be forgotten too, and all of it is delivered again.
pub(super) struct Puller {
    shard: u32,
    /// Which puller this is. An earlier one of the same shard, which has not noticed yet that it is stopped, must not
    /// take what this one waits for.
    number: u64,
    consumer: String,
    client: Client,
    place: Place,
    shared: Arc<Shared>,
    stop: CancellationToken,
    generation: watch::Receiver<u64>,
    inbox: String,
    messages: Subscriber,
    /// The connection, counted by the client, on which `messages` come.
    connection: u64,
    /// The number of the next delivery.
    next: u64,
    /// How many messages are asked for and have not come.
    asked: usize,
    asked_until: Instant,
    /// What has come and waits for what is before it.
    aside: BTreeMap<u64, Delivered>,
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
        (shard, number): (u32, u64),
        group: &str,
        client: Client,
        place: Place,
        shared: Arc<Shared>,
        generation: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let connection = connection(&client);
        let (inbox, messages) = subscribe(&client).await?;
        let consumer = place::consumer(group, shard);
        let (next, asked, asked_until) = (0, 0, Instant::now());
        Ok(Self {
            shard,
            number,
            consumer,
            client,
            place,
            shared,
            stop,
            generation,
            inbox,
            messages,
            connection,
            next,
            asked,
            asked_until,
            aside: BTreeMap::new(),
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
                if self.connection != connection(&self.client) {
                    return Ok(());
                }
                self.ask(count, Some(OPEN)).await?;
            }
            tokio::select! {
                message = self.messages.next() => {
                    let message = message.ok_or_else(|| error::unavailable("the subscription has ended"))?;
                    let Some(delivered) = self.open(message)? else { continue };
                    // The driver's word that the connection has changed may come after what came by the new one.
                    if delivered.number == self.next && self.connection == connection(&self.client) {
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
        self.aside.extend(first.map(|message| (message.id, message)));
        let mut wait = LOOK_AGAIN.0;
        let progress_every = self.place.config.lease.0 / 3;
        let mut progress_due = Instant::now() + progress_every;
        self.asked = 0;
        loop {
            self.follow_connection().await?;
            if Instant::now() >= progress_due {
                // What waits here must not be given again because it waits.
                progress_due = Instant::now() + progress_every;
                for message in self.aside.values() {
                    let said = self.client.publish(message.reply.clone(), "+WPI".into()).await;
                    said.map_err(|error| error::asked("the server", error))?;
                }
            }
            // What is settled meanwhile is counted by the server and not here: one look more, never one too few.
            let info = self.place.info(&self.consumer).await?;
            if self.connection != connection(&self.client) {
                // It is the word of another server, or of one that was away: what is asked for now is to come by it.
                continue;
            }
            let last = info.delivered.stream_sequence;
            let here = {
                let mut state = self.shared.state.lock();
                if !self.is_ours(&mut state) {
                    return Err(error::unavailable("the shard is not ours any more"));
                }
                // IMPORTANT: What a server that was killed has forgotten must go. It comes again, behind what is before it.
                self.aside.retain(|id, message| *id <= last && !state.renew(self.shard, *id, &message.reply));
                state.unsettled_to(self.shard, last) + self.aside.len()
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
                    self.aside.insert(message.id, message);
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
        while let Some((_, message)) = self.aside.pop_first() {
            self.take(message).await;
        }
        self.shared.ready.notify_waiters();
        Ok(())
    }

    /// Subscribes anew if the connection is another one than before. What came by the one before is put aside.
    async fn follow_connection(&mut self) -> Result<(), Error> {
        let now = connection(&self.client);
        if self.connection == now {
            return Ok(());
        }
        let (inbox, messages) = subscribe(&self.client).await?;
        let mut before = std::mem::replace(&mut self.messages, messages);
        (self.inbox, self.connection, self.asked) = (inbox, now, 0);
        // Requests end with their connection, but the last may have been sent by this one, before it was noticed. What
        // answers that, and is not taken, would be waited for as if somebody else had it.
        let put_aside = |message| {
            if let Ok(Some(message)) = self.open(message) {
                self.aside.insert(message.id, message);
            }
        };
        for_rest_of(&mut before, put_aside).await;
        self.asked = 0;
        Ok(())
    }

    fn is_ours(&self, state: &mut State<Messages>) -> bool {
        state.shard(self.shard).is_some_and(|shard| !shard.giving && shard.note.puller == self.number)
    }

    /// Takes a message, or gives it back if the shard is not ours any more.
    async fn take(&self, delivered: Delivered) {
        let Delivered { id, redeliveries, reply, event, message, .. } = delivered;
        match event {
            Ok(event) => {
                let ours = {
                    let mut state = self.shared.state.lock();
                    let ours = self.is_ours(&mut state);
                    if ours {
                        state.take(self.shard, id, reply.clone(), event, redeliveries);
                    }
                    ours
                };
                if !ours {
                    let _ = self.client.publish(reply, "-NAK".into()).await;
                }
            }
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

    /// Gives back what was put aside and what was on its way here.
    ///
    /// What is still sent here when the server hears that nobody listens any more is waited for by the next owner for a
    /// lease. So what was asked for comes first, as long as it comes; and nothing is given back before nobody listens,
    /// for it would come here again.
    async fn give_back(&mut self) {
        let mut back: Vec<Subject> = Vec::new();
        let mut rest = Vec::new();
        for_rest_of(&mut self.messages, |message| rest.push(message)).await;
        for message in rest {
            back.extend(self.open(message).ok().flatten().map(|delivered| delivered.reply));
        }
        back.extend(std::mem::take(&mut self.aside).into_values().map(|delivered| delivered.reply));
        for reply in back {
            let _ = self.client.publish(reply, "-NAK".into()).await;
        }
        let _ = self.client.flush().await;
    }
}

/// Takes what still comes, for as long as it comes, and ends the subscription.
async fn for_rest_of(messages: &mut Subscriber, mut take: impl FnMut(Message)) {
    let until = Instant::now() + COME_WITHIN;
    while let Ok(Some(message)) =
        tokio::time::timeout_at(until.min(Instant::now() + QUIET), messages.next()).await
    {
        take(message);
    }
    let _ = messages.drain().await;
    let until = Instant::now() + COME_WITHIN;
    while let Ok(Some(message)) = tokio::time::timeout_at(until, messages.next()).await {
        take(message);
    }
}

/// Returns how many connections the client has made: one that was lost and made again is another one.
fn connection(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Subscribes to a subject of its own.
async fn subscribe(client: &Client) -> Result<(String, Subscriber), Error> {
    let inbox = client.new_inbox();
    let messages =
        client.subscribe(inbox.clone()).await.map_err(|error| error::asked("subscribing", error))?;
    Ok((inbox, messages))
}
