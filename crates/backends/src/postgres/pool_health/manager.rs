//! Pools from a configuration.

use ::deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use steadfast_core::transport::Error;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresPool;
use crate::postgres::Config;
use crate::postgres::connect::settings;
use crate::postgres::error::SYSTEM;
use crate::tls;

/// Creates a pool of at most `size_max` connections (1 or more; 0 counts as 1), which are opened as callers need them.
///
/// A caller waits for a connection as long as it likes: it has a deadline of its own. Opening one takes at most
/// [`Config::connect_timeout`].
///
/// # Errors
/// [`Error::Configuration`] when the certificates of `config` cannot be used.
pub fn pool(config: &Config, size_max: usize) -> Result<PostgresPool, Error> {
    let mut settings = settings(config);
    let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match &config.tls {
        None => Manager::from_config(settings, NoTls, recycle),
        Some(tls) => {
            settings.ssl_mode(SslMode::Require);
            let connector = MakeRustlsConnect::new(tls::config(tls, SYSTEM)?);
            Manager::from_config(settings, connector, recycle)
        }
    };
    let pool = Pool::builder(manager)
        .max_size(size_max.max(1))
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(config.connect_timeout.0))
        .build();
    let wrong = |error| Error::Configuration { system: SYSTEM, field: "pool", problem: format!("{error}") };
    Ok(PostgresPool::new(pool.map_err(wrong)?))
}
