use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::transport::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use super::Config;
use super::error::{SYSTEM, of, unavailable};
use crate::tls;

/// After how long without any sign of its machine a server counts as gone.
const VANISHED_AFTER: Duration = Duration::from_secs(20);

/// A session, with the task that moves its bytes; dropping it disconnects.
pub(super) struct Session {
    client: Client,
    /// Is told of each `NOTIFY`, and of the connection's end.
    pub(super) notified: Arc<Notify>,
    _connection: AbortOnDropHandle<()>,
}

impl std::ops::Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Returns the driver's settings, in the clear.
pub(super) fn settings(config: &Config) -> tokio_postgres::Config {
    let mut settings = tokio_postgres::Config::new();
    settings.host(&config.host).port(config.port).user(&config.user).dbname(&config.database);
    settings.password(config.password()).application_name(&config.application_name);
    // A server that has vanished is noticed, also while nothing is sent.
    settings.tcp_user_timeout(VANISHED_AFTER).keepalives_idle(VANISHED_AFTER / 2);
    settings.keepalives_interval(VANISHED_AFTER / 6).keepalives_retries(3);
    settings.ssl_mode(tokio_postgres::config::SslMode::Disable);
    settings
}

/// Connects, within the configured time.
pub(super) async fn connect(config: &Config) -> Result<Session, Error> {
    let mut settings = settings(config);
    let connecting = async {
        match &config.tls {
            None => {
                let (client, connection) = settings.connect(NoTls).await.map_err(|error| of(&error))?;
                Ok(session(client, connection))
            }
            Some(tls) => {
                settings.ssl_mode(tokio_postgres::config::SslMode::Require);
                let connector = MakeRustlsConnect::new(tls::config(tls, SYSTEM)?);
                let (client, connection) = settings.connect(connector).await.map_err(|error| of(&error))?;
                Ok(session(client, connection))
            }
        }
    };
    let late = || unavailable(format!("connecting took longer than {}", config.connect_timeout));
    tokio::time::timeout(config.connect_timeout.0, connecting).await.map_err(|_| late())?
}

fn session<S, T>(client: Client, mut connection: Connection<S, T>) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let notified = Arc::new(Notify::new());
    let notify = Arc::clone(&notified);
    let task = tokio::spawn(async move {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(_))) => notify.notify_one(),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "a connection to PostgreSQL has ended");
                    break;
                }
                None => break,
            }
        }
        notify.notify_one();
    });
    Session { client, notified, _connection: AbortOnDropHandle::new(task) }
}
