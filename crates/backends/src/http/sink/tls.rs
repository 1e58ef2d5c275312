use std::path::Path;
use std::sync::Arc;

use steadfast_core::transport::Error;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Tls;
use crate::http::SYSTEM;

/// Reads the files that `tls` names.
pub(super) fn config(tls: &Tls) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match &tls.authority {
        Some(path) => {
            for certificate in certificates(path, "tls.authority")? {
                roots.add(certificate).map_err(|error| wrong("tls.authority", &error))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("tls", &error))?
        .with_root_certificates(roots);
    let mut config = match (&tls.certificate, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(path)) => {
            let key =
                PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable("tls.key", path, &error))?;
            let chain = certificates(certificate, "tls.certificate")?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong("tls.key", &error))?
        }
        _ => return Err(wrong("tls", &"set `certificate` and `key` together, or neither")),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path, field: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |error: PemError| unreadable(field, path, &error);
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

fn unreadable(field: &'static str, path: &Path, error: &PemError) -> Error {
    wrong(field, &format_args!("`{}` cannot be read: {error}", path.display()))
}

fn wrong(field: &'static str, problem: &dyn std::fmt::Display) -> Error {
    Error::Configuration { system: SYSTEM, field, problem: problem.to_string() }
}
