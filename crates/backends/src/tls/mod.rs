#[cfg(any(feature = "http", feature = "postgres"))]
mod client;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(any(feature = "http", feature = "postgres"))]
pub(crate) use client::config;

/// TLS towards another system. What is left out is the usual: the public authorities, and no certificate of our own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// The authority that signed the other side's certificate, a file in PEM.
    pub authority: Option<PathBuf>,
    /// Our own certificate, a file in PEM, where the other side asks for one; it goes with `key`.
    pub certificate: Option<PathBuf>,
    /// The key of our own certificate, a file in PEM.
    pub key: Option<PathBuf>,
}
