//! The driver's client, from a configuration.

use ::redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates,
};
use steadfast_core::transport::Error;

use super::server::wrong;
use super::{Config, SYSTEM, error};
use crate::Tls;

/// Makes the client; it does not connect yet.
pub(super) fn client(config: &Config) -> Result<Client, Error> {
    let problem = |problem: &str| Error::Configuration {
        system: SYSTEM,
        field: "address",
        problem: problem.to_owned(),
    };
    let (host, port) = config.address.rsplit_once(':').ok_or_else(|| problem("write HOST:PORT"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port: u16 = port.parse().map_err(|_| problem("the port is no number"))?;
    let mut settings = RedisConnectionInfo::default().set_db(config.database.into());
    if let Some(username) = &config.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &config.password {
        settings = settings.set_password(password.reveal());
    }
    let address = match config.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
    };
    let info =
        address.into_connection_info().map_err(|error| error::map(&error))?.set_redis_settings(settings);
    let client = match &config.tls {
        None => Client::open(info),
        Some(tls) => Client::build_with_tls(info, certificates(tls)?),
    };
    client.map_err(|error| error::map(&error))
}

fn certificates(tls: &Tls) -> Result<TlsCertificates, Error> {
    let read = |field, path: &std::path::Path| {
        std::fs::read(path).map_err(|error| Error::Configuration {
            system: SYSTEM,
            field,
            problem: format!("{}: {error}", path.display()),
        })
    };
    let root_cert = tls.authority.as_deref().map(|path| read("tls.authority", path)).transpose()?;
    let client_tls = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Some(ClientTlsConfig {
            client_cert: read("tls.certificate", certificate)?,
            client_key: read("tls.key", key)?,
        }),
        (None, None) => None,
        _ => return Err(wrong("tls", "give both `certificate` and `key`, or neither".to_owned())),
    };
    Ok(TlsCertificates { client_tls, root_cert })
}
