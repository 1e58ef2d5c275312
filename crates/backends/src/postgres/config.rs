use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use steadfast_base::units::HumanDuration;

/// How to reach a database.
///
/// # Examples
/// ```
/// use steadfast_backends::postgres::Config;
///
/// let json = r#"{"host": "db", "user": "shop", "password": "secret", "database": "shop",
///                "tls": {"ca": "/etc/ssl/certs/ca-certificates.crt"}}"#;
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
    pub password: Password,
    /// The database.
    pub database: String,
    /// Encrypts the connection and verifies the server; without it the connection is in clear text.
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
            password: Password::default(),
            database: "postgres".to_owned(),
            tls: None,
            application_name: "steadfast".to_owned(),
            connect_timeout: HumanDuration(Duration::from_secs(5)),
        }
    }
}

/// How a connection is encrypted. The server's certificate must be signed by `ca` and be for its host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// The certificates that are trusted, a PEM file.
    pub ca: PathBuf,
    /// The client's certificate, a PEM file, where the server asks for one.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The client's private key, a PEM file.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

/// A password; it is never printed.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Takes the password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}
