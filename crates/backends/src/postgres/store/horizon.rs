use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_core::store::{Error, Position};
use tokio::sync::watch;
use tokio_postgres::Client;

use super::error::reading;
use super::row;

/// How soon a subscription looks again after an append of this process that cannot be read yet.
const SOON: Duration = Duration::from_millis(1);

/// Up to where events may be read: what stands before it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizon(pub(super) i64);

impl Horizon {
    pub(super) async fn read(client: &Client) -> Result<Self, Error> {
        let sql = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + shift FROM steadfast_log";
        let statement = client.prepare_typed(sql, &[]).await;
        let row = match statement {
            Ok(statement) => client.query_one(&statement, &[]).await,
            Err(error) => Err(error),
        };
        row.map(|row| Self(row.get(0))).map_err(|error| reading(&error))
    }
}

/// Reads the position of the newest event before the horizon, of those that were deleted too.
pub(super) async fn head(client: &Client, Horizon(end): Horizon) -> Result<Position, Error> {
    let sql = "SELECT position, ordinal FROM ( \
        (SELECT position, ordinal FROM steadfast_events WHERE position < $1 ORDER BY position DESC, ordinal DESC LIMIT 1) \
        UNION ALL \
        (SELECT position, ordinal FROM steadfast_gone WHERE position < $1 ORDER BY position DESC, ordinal DESC LIMIT 1) \
        ) AS newest ORDER BY position DESC, ordinal DESC LIMIT 1";
    let newest = client.query_opt(sql, &[&end]).await.map_err(|error| reading(&error))?;
    Ok(newest.map_or(Position::START, |found| row::position(found.get(0), found.get(1))))
}

/// What wakes the subscriptions of this process.
#[derive(Debug)]
pub(super) struct Bell {
    rung: watch::Sender<Rung>,
    /// The newest transaction of this process that has appended.
    newest: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rung {
    times: u64,
    pub(super) closed: bool,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { rung: watch::Sender::new(Rung::default()), newest: AtomicU64::new(0) }
    }

    pub(super) fn appended(&self, position: Position) {
        self.newest.fetch_max(position.parts().0, Ordering::AcqRel);
        self.rung.send_modify(|rung| rung.times += 1);
    }

    pub(super) fn close(&self) {
        self.rung.send_modify(|rung| rung.closed = true);
    }

    pub(super) fn listen(&self) -> watch::Receiver<Rung> {
        self.rung.subscribe()
    }

    /// Says whether this process has appended something that cannot be read before `horizon`.
    pub(super) fn is_ahead(&self, horizon: Horizon) -> bool {
        self.newest.load(Ordering::Acquire) >= horizon.0 as u64
    }

    /// How long to wait, after `looks` looks in vain up to `horizon`, if nobody appends.
    pub(super) fn patience(&self, horizon: Horizon, looks: u32, poll: Duration) -> Duration {
        let poll = poll.max(SOON);
        if self.is_ahead(horizon) { SOON.saturating_mul(1 << looks.min(10)).min(poll) } else { poll }
    }
}
