use std::sync::Arc;
use std::time::Duration;

use krafka::Kafka;
use steadfast_base::{Backoff, Rng};
use steadfast_core::transport::Link;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;

use super::{Config, connection};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keeps `link` true to how the connections stand, until `end`: the driver makes them again when they are used, but
/// does not tell. While none is left a question is asked with back-off, which makes one.
pub(super) async fn watch(
    kafka: Kafka,
    config: Config,
    link: Sender<Link>,
    mut rng: Rng,
    end: CancellationToken,
) {
    let looking = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if kafka.metrics().connections.active_connections > 0 {
                continue;
            }
            let mut reason: Arc<str> = "the connection was lost".into();
            for attempts in 0.. {
                tracing::debug!(topic = config.topic, attempts, %reason, "the connection is down");
                link.send_replace(Link::Down { attempts, reason });
                tokio::time::sleep(Backoff::default().delay(attempts, &mut rng)).await;
                match connection::partitions(&kafka, &config).await {
                    Ok(_) => break,
                    Err(error) => reason = error.to_string().into(),
                }
            }
            link.send_replace(Link::Up);
        }
    };
    link.send_replace(Link::Up);
    end.run_until_cancelled(looking).await;
}
