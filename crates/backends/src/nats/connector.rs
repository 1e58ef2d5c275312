use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use parking_lot::Mutex as Lock;
use steadfast_base::{Backoff, Classify, Rng, Seed};
use steadfast_core::transport::{Error, Link, LinkState, link};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::{Config, SYSTEM, error};

/// One connection. The driver makes it again when it is lost; this makes the first one, and a new one where the driver
/// has given up.
pub(super) struct Connector {
    config: Config,
    shared: Arc<Shared>,
    slot: Mutex<Slot>,
}

struct Shared {
    link: watch::Sender<Link>,
    /// Counts connections made and lost.
    generation: watch::Sender<u64>,
    /// The driver has given up.
    over: AtomicBool,
    /// Our user has.
    closed: AtomicBool,
    rng: Lock<Rng>,
}

struct Slot {
    client: Option<Client>,
    /// How many there have been.
    clients: u64,
    failures: u32,
    again_at: Instant,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        config.check()?;
        let seed = config.seed.map_or_else(Seed::random, Seed::new);
        let shared = Shared {
            link: link().0,
            generation: watch::Sender::new(0),
            over: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            rng: Lock::new(seed.stream("nats")),
        };
        let slot = Slot { client: None, clients: 0, failures: 0, again_at: Instant::now() };
        Ok(Self { config: config.clone(), shared: Arc::new(shared), slot: Mutex::new(slot) })
    }

    pub(super) fn link(&self) -> LinkState {
        self.shared.link.subscribe()
    }

    /// Watches a number that changes whenever the connection is made or lost.
    pub(super) fn generation(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// Returns the client once it is connected, trying until it is.
    ///
    /// # Errors
    /// What waiting cannot mend.
    pub(super) async fn up(&self) -> Result<Client, Error> {
        loop {
            match self.get().await {
                Ok(client) => {
                    let mut link = self.link();
                    let state =
                        link.wait_for(|link| matches!(link, Link::Up | Link::Closed) || self.is_over()).await;
                    if self.is_closed() {
                        return Err(Error::Closed);
                    }
                    if state.is_ok() && !self.is_over() {
                        return Ok(client);
                    }
                }
                Err(error) if error.classify().is_retryable() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns how many clients there have been: what stands on an earlier one has ended with it.
    pub(super) async fn clients(&self) -> u64 {
        self.slot.lock().await.clients
    }

    /// Ends the connection, as far as others see it; it ends with its last user.
    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.link.send_replace(Link::Closed);
        // Whoever makes a connection now drops it when it has.
        if let Ok(mut slot) = self.slot.try_lock() {
            slot.client = None;
        }
    }

    fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::SeqCst)
    }

    /// Returns the client; makes one, after the back-off that is due, if there is none. One attempt.
    async fn get(&self) -> Result<Client, Error> {
        let mut slot = self.slot.lock().await;
        if self.is_closed() {
            slot.client = None;
            return Err(Error::Closed);
        }
        if let Some(client) = slot.client.as_ref().filter(|_| !self.is_over()) {
            return Ok(client.clone());
        }
        slot.client = None;
        tokio::time::sleep_until(slot.again_at).await;
        self.shared.over.store(false, Ordering::SeqCst);
        match self.connect().await {
            Ok(_) if self.is_closed() => Err(Error::Closed),
            Ok(client) => {
                slot.failures = 0;
                slot.client = Some(client.clone());
                // That it is up is heard as an event, once.
                slot.clients += 1;
                Ok(client)
            }
            Err(error) => {
                slot.again_at = Instant::now() + self.shared.wait(slot.failures);
                slot.failures = slot.failures.saturating_add(1);
                self.shared.down(slot.failures, &error.to_string());
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let config = &self.config;
        let (events, delays) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let mut options = ConnectOptions::new()
            .name("steadfast")
            .connection_timeout(config.answer_within.0)
            .request_timeout(Some(config.answer_within.0))
            .ping_interval(config.answer_within.0.max(Duration::from_secs(1)))
            .event_callback(move |event| {
                events.hear(&event);
                std::future::ready(())
            })
            .reconnect_delay_callback(move |attempts| {
                let failed = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
                if failed > 0 {
                    delays.down(failed, "the server does not let us connect");
                }
                if attempts <= 1 { Duration::ZERO } else { delays.wait(failed) }
            });
        options = authenticate(options, config)?;
        if let Some(tls) = &config.tls {
            options = options.require_tls(true);
            if let Some(authority) = &tls.authority {
                options = options.add_root_certificates(authority.clone());
            }
            options = match (&tls.certificate, &tls.key) {
                (Some(certificate), Some(key)) => {
                    options.add_client_certificate(certificate.clone(), key.clone())
                }
                (None, None) => options,
                _ => {
                    return Err(error::configuration("tls", "give both `certificate` and `key`, or neither"));
                }
            };
        }
        let addresses: Vec<&str> = config.address.split(',').map(str::trim).collect();
        let connecting = tokio::time::timeout(config.answer_within.0, options.connect(addresses));
        let client = connecting.await.map_err(|_| error::unavailable("connecting took too long"))?;
        client.map_err(|error| error::of_connect(&error))
    }
}

/// Says who we are, in the one way that is configured.
fn authenticate(options: ConnectOptions, config: &Config) -> Result<ConnectOptions, Error> {
    let Config { username, password, token, nkey, credentials, .. } = config;
    Ok(match (username, password, token, nkey, credentials) {
        (None, None, None, None, None) => options,
        (Some(user), Some(password), None, None, None) => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        (None, None, Some(token), None, None) => options.token(token.reveal().to_owned()),
        (None, None, None, Some(seed), None) => options.nkey(seed.reveal().to_owned()),
        (None, None, None, None, Some(path)) => {
            // What stands in the file is not said.
            let unreadable = |problem: &dyn std::fmt::Display| {
                error::configuration("credentials", format!("`{}`: {problem}", path.display()))
            };
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
            options
                .credentials(&text)
                .map_err(|_| unreadable(&"holds no JWT and NKEY as `nsc` writes them"))?
        }
        _ => {
            let problem = "give one of: `username` with `password`, `token`, `nkey`, `credentials`";
            return Err(error::configuration("username", problem));
        }
    })
}

impl Shared {
    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => self.is(Link::Up),
            Event::Disconnected => self.down(0, "the connection was lost"),
            Event::Closed => {
                self.over.store(true, Ordering::SeqCst);
                self.down(0, "the server refuses us");
            }
            other => tracing::debug!(system = SYSTEM, event = %other, "the connection says"),
        }
    }

    fn is(&self, link: Link) {
        if !self.closed.load(Ordering::SeqCst) {
            // First, so that whoever sees the link up sees no change after that.
            self.generation.send_modify(|generation| *generation += 1);
            self.link.send_replace(link);
        }
    }

    fn down(&self, attempts: u32, reason: &str) {
        tracing::debug!(system = SYSTEM, attempts, reason, "the connection is down");
        self.is(Link::Down { attempts, reason: reason.into() });
    }

    fn wait(&self, failures: u32) -> Duration {
        Backoff::default().delay(failures, &mut self.rng.lock())
    }
}
