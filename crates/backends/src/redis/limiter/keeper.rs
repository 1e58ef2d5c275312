//! The task that holds the connection, and asks the server while the local share decides.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

use super::Mode;
use super::handle::Shared;

/// Connects, hands the connection out and watches it, until it is dropped with the limiter.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        // The connector keeps its own pace.
        match shared.connector.get().await {
            Ok(connection) => {
                shared.connected(connection.commands.clone());
                let reason = attend(&shared, connection.commands).await;
                shared.lost(reason);
                shared.connector.renew(reason).await;
            }
            Err(error) => tracing::debug!(%error, "a rate limiter cannot reach Redis"),
        }
    }
}

/// Returns when the connection is of no use any more, and says why.
async fn attend(shared: &Shared, mut connection: MultiplexedConnection) -> &'static str {
    let settings = &shared.settings;
    loop {
        tokio::select! {
            () = shared.broken.notified() => return "the connection is lost",
            () = sleep(settings.retry_every) => {}
        }
        if shared.mode() == Mode::Shared {
            continue;
        }
        let ping = ::redis::cmd("PING");
        let asking = ping.query_async::<()>(&mut connection);
        let is_answered = matches!(timeout(settings.answer_within, asking).await, Ok(Ok(())));
        shared.tried(is_answered);
        if !is_answered {
            // Whether the server is at fault or the way there, a new connection shows.
            return "the server does not answer";
        }
    }
}
