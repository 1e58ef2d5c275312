use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use steadfast_core::transport::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use super::error::{configuration, of, unavailable};
use super::{Config, Tls};

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

/// Connects, within the configured time.
pub(super) async fn connect(config: &Config) -> Result<Session, Error> {
    let mut settings = tokio_postgres::Config::new();
    settings.host(&config.host).port(config.port).user(&config.user).dbname(&config.database);
    settings.password(config.password.reveal()).application_name(&config.application_name);
    let connecting = async {
        match &config.tls {
            None => {
                settings.ssl_mode(tokio_postgres::config::SslMode::Disable);
                let (client, connection) = settings.connect(NoTls).await.map_err(|error| of(&error))?;
                Ok(session(client, connection))
            }
            Some(tls) => {
                settings.ssl_mode(tokio_postgres::config::SslMode::Require);
                let connector = MakeRustlsConnect::new(client_config(tls)?);
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

pub(super) fn client_config(tls: &Tls) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.ca, "tls.ca")? {
        roots.add(certificate).map_err(|error| configuration("tls.ca", error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| configuration("tls", error.to_string()))?
        .with_root_certificates(roots);
    match (&tls.certificate, &tls.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "tls.certificate")?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| configuration("tls.key", format!("cannot be read: {error}")))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| configuration("tls.key", error.to_string()))
        }
        _ => Err(configuration("tls.key", "give `certificate` and `key` together, or neither")),
    }
}

fn certificates(path: &Path, field: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |error: rustls::pki_types::pem::Error| {
        configuration(field, format!("{} cannot be read: {error}", path.display()))
    };
    CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)
}
