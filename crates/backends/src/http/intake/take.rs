use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method};
use steadfast_base::Deadline;
use steadfast_core::cloudevents;
use steadfast_core::transport::Error;
use steadfast_core::{Event, store::Durability};

use super::answer::{self, Refusal};
use super::mode::{self, Mode};
use super::{Shared, body, plain};
use crate::http::SYSTEM;
use crate::http::signature::{Seen, Taken};

/// What an intake has counted since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Requests that are being worked on now.
    pub in_flight: usize,
    /// Requests answered 202, those that came again included.
    pub taken: u64,
    /// Events that were handed to the sink and kept.
    pub events: u64,
    /// Signed requests that had been taken before and were not handed on.
    pub repeated: u64,
    /// Requests answered 429: back-pressure.
    pub pushed_back: u64,
    /// Requests answered with any other 4xx: the fault of whoever posted.
    pub refused: u64,
    /// Requests answered with 5xx: not the fault of whoever posted.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    closed: AtomicBool,
    taken: AtomicU64,
    events: AtomicU64,
    repeated: AtomicU64,
    pushed_back: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn read(&self, in_flight: usize) -> Metrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            in_flight,
            taken: get(&self.taken),
            events: get(&self.events),
            repeated: get(&self.repeated),
            pushed_back: get(&self.pushed_back),
            refused: get(&self.refused),
            failed: get(&self.failed),
        }
    }

    fn refuse(&self, refusal: &Refusal) {
        let counter = match refusal.status().as_u16() {
            429 => &self.pushed_back,
            400..500 => &self.refused,
            _ => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(super) async fn answer(&self, request: Request) -> Response {
        match self.take(request).await {
            Ok(taken) => {
                self.counters.taken.fetch_add(1, Ordering::Relaxed);
                answer::taken(taken)
            }
            Err(refusal) => {
                self.counters.refuse(&refusal);
                if let Refusal::Sink(error) = &refusal {
                    tracing::warn!(%error, status = refusal.status().as_u16(), "posted events are not taken");
                }
                refusal.answer(self.config.retry_after.0)
            }
        }
    }

    async fn take(&self, request: Request) -> Result<Taken, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        let permit = self.permits.try_acquire();
        // IMPORTANT: Look after taking the permit: closing sets the mark, then waits for all permits.
        if self.counters.closed.load(Ordering::SeqCst) {
            return Err(Refusal::Closing);
        }
        let _permit = permit.map_err(|_| Refusal::Busy)?;
        let deadline = Deadline::within(self.config.deadline.0);
        let (parts, body) = request.into_parts();
        let mode = Mode::of(&parts.headers, self.config.plain.is_some())?;
        let body = body::read(&parts.headers, body, self.body_max);
        let body = tokio::time::timeout_at(deadline.instant(), body).await.map_err(|_| Refusal::Slow)??;
        let once = match &self.keys {
            Some(keys) => {
                keys.verify(&parts.headers, &body, self.clock.now()).map_err(Refusal::Signature)?.once
            }
            None => None,
        };
        let claim = match once.map(|(digest, until)| self.replays.claim(digest, until, self.clock.now())) {
            Some(Seen::Taken(taken)) => {
                self.counters.repeated.fetch_add(1, Ordering::Relaxed);
                return Ok(taken);
            }
            Some(Seen::BeingTaken) => return Err(Refusal::BeingTaken),
            Some(Seen::Never(claim)) => Some(claim),
            None => None,
        };
        let taken = match mode {
            Mode::Batched => {
                let events = cloudevents::from_json_batch(&body, self.config.batch_max, self.clock.now());
                self.hand_on(&events.map_err(Refusal::NotAnEvent)?, deadline).await?
            }
            mode => {
                let event = self.one(mode, &parts.headers, body).map_err(Refusal::NotAnEvent)?;
                self.hand_on(std::slice::from_ref(&event), deadline).await?
            }
        };
        if let Some(claim) = claim {
            claim.taken(taken);
        }
        Ok(taken)
    }

    fn one(&self, mode: Mode, headers: &HeaderMap, body: Bytes) -> Result<Event, cloudevents::Error> {
        let received = self.clock.now();
        match (mode, &self.config.plain) {
            (Mode::Structured, _) => cloudevents::from_json(&body, received),
            (Mode::Plain, Some(plain)) => plain::event(plain, headers, body, received),
            _ => mode::binary(headers, body, received),
        }
    }

    async fn hand_on(&self, events: &[Event], deadline: Deadline) -> Result<Taken, Refusal> {
        let asked = self.config.durability;
        let durability = if events.is_empty() {
            asked
        } else {
            let sent = self.sink.send(events, asked, deadline);
            let late = Err(Error::DeadlineExceeded { system: SYSTEM });
            // The sink looks at the deadline itself and says more; this is for one that does not.
            let sent = tokio::time::timeout_at(deadline.instant() + GRACE, sent).await.unwrap_or(late);
            check(sent.map_err(Refusal::Sink)?, asked)?
        };
        self.counters.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        Ok(Taken { events: events.len(), durability })
    }
}

const GRACE: std::time::Duration = std::time::Duration::from_millis(100);

/// A sink that achieved less than asked for without saying so must not make us promise it.
fn check(achieved: Durability, asked: Durability) -> Result<Durability, Refusal> {
    if achieved >= asked {
        return Ok(achieved);
    }
    Err(Refusal::Sink(Error::Unsupported { system: SYSTEM, what: format!("durability `{asked}`") }))
}
