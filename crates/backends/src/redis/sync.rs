use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_core::transport::Error;
use tokio::sync::Mutex;

use super::connector::{Connection, Connector};
use super::error;

/// Waits until what was written by a connection is synced.
#[derive(Default)]
pub(super) struct Waiter {
    /// How many have written all they had to.
    written: AtomicU64,
    synced: Mutex<Synced>,
}

/// Up to which of those that wrote by one connection the file is known to be synced.
#[derive(Default)]
struct Synced {
    generation: u64,
    upto: u64,
}

impl Waiter {
    /// Waits, half of `answer_within` at most. The server waits for what this connection has written only, and whoever
    /// writes by it meanwhile waits for it, so one wait is for all that have written when it begins.
    pub(super) async fn wait(
        &self,
        connector: &Connector,
        connection: &Connection,
        answer_within: Duration,
    ) -> Result<(), Error> {
        let mine = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.lock().await;
        if synced.generation == connection.generation && synced.upto >= mine {
            return Ok(());
        }
        let upto = self.written.load(Ordering::SeqCst);
        let within = u64::try_from(answer_within.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        let (local, _): (u32, u32) = connector
            .run(connection, |mut commands| async move {
                ::redis::cmd("WAITAOF").arg(1).arg(0).arg(within).query_async(&mut commands).await
            })
            .await
            .map_err(|error| error::map(&error))?;
        if local > 0 {
            *synced = Synced { generation: connection.generation, upto };
            Ok(())
        } else {
            Err(error::unavailable("the file was not synced in time"))
        }
    }
}
