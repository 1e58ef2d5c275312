//! One round: borrow, check, judge, give back or evict.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{Health, Pool, PoolHealthPolicy};

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Round {
    /// How many connections answered in time.
    pub fast: usize,
    /// How many did not answer in time.
    pub slow: usize,
    /// How many failed, those among them that the pool threw away itself.
    pub broken: usize,
    /// How many were closed.
    pub evicted: usize,
    /// How many that were slow or broken were given back, for the server does not answer either.
    pub kept: usize,
    /// Whether checking stopped since callers wanted the connections.
    pub yielded: bool,
    /// Whether a connection that was opened beside the pool answered, if one was opened.
    pub opened: Option<bool>,
    /// How long the slowest of those took that answered in time.
    #[serde(skip)]
    pub slowest: Duration,
}

impl Round {
    /// Returns how many connections were stale: slow or broken.
    pub fn stale(&self) -> usize {
        self.slow + self.broken
    }

    pub(super) fn has_learned(&self) -> bool {
        self.fast + self.stale() > 0 || self.opened.is_some()
    }

    pub(super) fn server_answers(&self) -> bool {
        self.fast > 0 || self.opened == Some(true)
    }
}

/// What a connection was found to be.
enum Verdict<C> {
    /// It has answered, and is back.
    Fast(Duration),
    Slow(C),
    Broken(C, Box<str>),
}

/// Makes a round on a pool that was found `health` before. Returns what it found, and the last error that it met.
pub(super) async fn make<P: Pool>(
    pool: &P,
    policy: &PoolHealthPolicy,
    health: Health,
) -> (Round, Option<Box<str>>) {
    let (mut round, mut problem) = (Round::default(), None);
    let borrowed = borrow(pool, policy, &mut round).await;
    let checks =
        borrowed.into_iter().map(|connection| Box::pin(examine(pool, connection, policy.check_within)));
    let mut stale = Vec::new();
    for verdict in all(checks.collect()).await {
        match verdict {
            Verdict::Fast(took) => {
                round.fast += 1;
                round.slowest = round.slowest.max(took);
            }
            Verdict::Slow(connection) => {
                round.slow += 1;
                stale.push(connection);
            }
            Verdict::Broken(connection, error) => {
                round.broken += 1;
                problem = Some(error);
                stale.push(connection);
            }
        }
    }
    // A pool that has nothing idle left, and was unwell, is asked for in the same way: else it would stay unwell.
    if round.fast == 0 && (round.stale() > 0 || health != Health::Healthy) {
        match open(pool, policy).await {
            Ok(()) => round.opened = Some(true),
            Err(error) => {
                round.opened = Some(false);
                problem = Some(error);
            }
        }
    }
    let evictions_max = if round.server_answers() { usize::MAX } else { policy.evictions_max };
    for connection in stale {
        if round.evicted < evictions_max {
            round.evicted += 1;
            pool.evict(connection);
        } else {
            round.kept += 1;
        }
    }
    (round, problem)
}

/// Borrows what callers can spare.
async fn borrow<P: Pool>(pool: &P, policy: &PoolHealthPolicy, round: &mut Round) -> Vec<P::Connection> {
    let mut borrowed = Vec::new();
    while borrowed.len() < policy.checks_max {
        let status = pool.status();
        if !status.can_spare(borrowed.len()) {
            round.yielded |= status.is_wanted(borrowed.len());
            break;
        }
        let Ok(found) = timeout(policy.check_within, pool.borrow_idle()).await else {
            // What the pool was looking at is gone. One of these in a round is enough.
            round.slow += 1;
            round.evicted += 1;
            give_back_what_is_missed(pool, &mut borrowed, round);
            break;
        };
        round.broken += found.discarded;
        round.evicted += found.discarded;
        let is_last = found.connection.is_none();
        borrowed.extend(found.connection);
        if give_back_what_is_missed(pool, &mut borrowed, round) || is_last {
            break;
        }
    }
    borrowed
}

/// Gives a connection back if callers miss it, and says whether they did. IMPORTANT: between the look and the borrowing
/// callers may have come, or the pool may have thrown away what was left for them.
fn give_back_what_is_missed<P: Pool>(pool: &P, borrowed: &mut Vec<P::Connection>, round: &mut Round) -> bool {
    let is_missed = !borrowed.is_empty() && pool.status().is_missed(borrowed.len());
    if is_missed {
        borrowed.pop();
        round.yielded = true;
    }
    is_missed
}

async fn examine<P: Pool>(
    pool: &P,
    mut connection: P::Connection,
    within: Duration,
) -> Verdict<P::Connection> {
    let started = Instant::now();
    match timeout(within, pool.check(&mut connection)).await {
        Ok(Ok(())) => Verdict::Fast(started.elapsed()),
        Ok(Err(error)) => Verdict::Broken(connection, error.to_string().into()),
        Err(_) => Verdict::Slow(connection),
    }
}

/// Opens a connection beside the pool and checks it; says why it does not work.
async fn open<P: Pool>(pool: &P, policy: &PoolHealthPolicy) -> Result<(), Box<str>> {
    let connecting = timeout(policy.connect_within, pool.connect()).await;
    let connection = connecting
        .map_err(|_| format!("a new connection was not open after {:?}", policy.connect_within))?
        .map_err(|error| error.to_string())?;
    match examine(pool, connection, policy.check_within).await {
        Verdict::Fast(_) => Ok(()),
        Verdict::Slow(_) => {
            Err(format!("a new connection did not answer within {:?}", policy.check_within).into())
        }
        Verdict::Broken(_, error) => Err(error),
    }
}

/// Runs all at the same time.
async fn all<F: Future>(mut running: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut done = Vec::with_capacity(running.len());
    let all = poll_fn(|cx| {
        running.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Ready(output) => {
                done.push(output);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    });
    pin!(all).await;
    done
}
