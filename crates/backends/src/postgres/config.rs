use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;

use crate::{Secret, Tls};

/// How to reach a database.
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::Config;
///
/// let json = r#"{"host": "db", "user": "shop", "password": "secret", "database": "shop",
///                "tls": {"authority": "/etc/ssl/certs/ca-certificates.crt"}}"#;
/// let config: Config = serde_json::from_str(json)?;
/// assert_eq!(config.port, 5432);
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password; asked for by SCRAM-SHA-256, or in clear text where the server wants that.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// TLS, by which the server is verified too: its certificate must be for `host`. None is a connection in the clear.
    pub tls: Option<Tls>,
    /// What `pg_stat_activity` shows.
    pub application_name: String,
    /// How long connecting may take, authentication included.
    pub connect_timeout: HumanDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 5432,
            user: "postgres".to_owned(),
            password: None,
            database: "postgres".to_owned(),
            tls: None,
            application_name: "steadfast".to_owned(),
            connect_timeout: HumanDuration(Duration::from_secs(5)),
        }
    }
}

impl Config {
    /// Returns the password; where there is none, an empty one, which a server that asks for one refuses.
    pub(super) fn password(&self) -> &str {
        self.password.as_ref().map_or("", Secret::reveal)
    }
}
