use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_base::{Class, Classify, Deadline};
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, Link, LinkState, Sink, link};
use tokio::sync::{Mutex, watch};

use super::install::install;
use super::source::capabilities;
use super::{Settings, rows};
use crate::postgres::Config;
use crate::postgres::connect::{Session, connect};
use crate::postgres::error::SYSTEM;

/// A sink that appends events to an outbox in transactions of its own, for what has no transaction to share.
pub struct OutboxSink {
    config: Config,
    settings: Settings,
    /// Connected on demand. One send at a time, so that order is kept.
    session: Mutex<State>,
    link: watch::Sender<Link>,
}

enum State {
    Idle,
    Connected(Arc<Session>),
    Closed,
}

impl OutboxSink {
    pub(super) fn new(config: Config, settings: Settings) -> Self {
        Self { config, settings, session: Mutex::new(State::Idle), link: link().0 }
    }

    async fn append(&self, events: &[Event]) -> Result<(), Error> {
        let mut state = self.session.lock().await;
        let session = match &*state {
            State::Closed => return Err(Error::Closed),
            State::Connected(session) if !session.is_closed() => Arc::clone(session),
            _ => {
                let session = Arc::new(connect(&self.config).await?);
                install(&session, &self.settings).await?;
                *state = State::Connected(Arc::clone(&session));
                self.link.send_replace(Link::Up);
                session
            }
        };
        // One statement, and so one transaction: all of them or none.
        rows::append(&**session, &self.settings, events).await
    }

    fn failed(&self, error: &Error) {
        if error.classify() == Class::Permanent {
            return;
        }
        let reason: Arc<str> = error.to_string().into();
        self.link.send_if_modified(|link| {
            let attempts = match link {
                Link::Closed => return false,
                Link::Down { attempts, .. } => attempts.saturating_add(1),
                _ => 1,
            };
            *link = Link::Down { attempts, reason };
            true
        });
    }
}

impl Sink for OutboxSink {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        async move {
            let highest = self.capabilities().durability_max;
            if durability > highest {
                let what = format!("the durability `{durability:?}`");
                return Err(Error::Unsupported { system: SYSTEM, what });
            }
            let sent = match tokio::time::timeout_at(deadline.instant(), self.append(events)).await {
                Ok(sent) => sent,
                Err(_) => Err(Error::DeadlineExceeded { system: SYSTEM }),
            };
            sent.inspect_err(|error| self.failed(error)).map(|()| highest)
        }
        .boxed()
    }

    fn link(&self) -> LinkState {
        self.link.subscribe()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            match tokio::time::timeout_at(deadline.instant(), self.session.lock()).await {
                Ok(mut state) => *state = State::Closed,
                Err(_) => return Err(Error::DeadlineExceeded { system: SYSTEM }),
            }
            self.link.send_replace(Link::Closed);
            Ok(())
        }
        .boxed()
    }
}
