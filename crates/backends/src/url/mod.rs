//! Where a server is, as a URL: `SCHEME://USER:PASSWORD@HOST:PORT/PATH?NAME=VALUE`.

mod parse;
// It alone uses all of it.
#[cfg(all(test, feature = "redis"))]
mod tests;

use std::path::PathBuf;

use steadfast_core::transport::Error;

use crate::{Secret, Tls};

/// The parts of a URL, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    system: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// What stands between the credentials and the path: one host with its port, or several with commas between.
    pub(crate) hosts: String,
    /// What follows the first `/`.
    pub(crate) path: String,
    query: Vec<(String, String)>,
}

impl Url {
    /// Reads a URL of one of the `schemes`. No error repeats what was given, for it may hold a password.
    pub(crate) fn parse(text: &str, system: &'static str, schemes: &[&'static str]) -> Result<Self, Error> {
        parse::parse(text, system, schemes)
    }

    /// Makes the error that the URL, or a part of it, is wrong.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> Error {
        parse::wrong(self.system, problem)
    }

    /// Returns the one host, without the brackets of an IPv6 address, and its port.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn host(&self) -> Result<(String, Option<u16>), Error> {
        parse::host(&self.hosts).map_err(|problem| self.wrong(problem))
    }

    /// Returns the hosts, each with its port or else with `port`.
    #[cfg(any(feature = "nats", feature = "redis"))]
    pub(crate) fn addresses(&self, port: u16) -> Result<Vec<String>, Error> {
        let address = |host: &str| {
            let (name, own) = parse::host(host).map_err(|problem| self.wrong(problem))?;
            let bracketed = if name.contains(':') { format!("[{name}]") } else { name };
            Ok(format!("{bracketed}:{}", own.unwrap_or(port)))
        };
        self.hosts.split(',').map(address).collect()
    }

    /// Takes the value of a parameter out of the query.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.query.iter().position(|(known, _)| known == name)?;
        Some(self.query.remove(index).1)
    }

    /// Takes the files of TLS out of the query: the parameters named for the authority, the certificate and its key.
    pub(crate) fn take_tls(&mut self, [authority, certificate, key]: [&str; 3]) -> Tls {
        let mut file = |name| self.take(name).map(PathBuf::from);
        Tls { authority: file(authority), certificate: file(certificate), key: file(key) }
    }

    /// Refuses parameters that nobody has taken; `known` says which there are.
    pub(crate) fn done(self, known: &str) -> Result<(), Error> {
        match self.query.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.wrong(format!("unknown parameter `{name}`; there are {known}"))),
        }
    }
}
