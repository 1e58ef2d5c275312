use std::path::Path;
use std::sync::Arc;

use steadfast_core::transport::Error;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Tls;

/// Reads the files that `tls` names; errors say that they are of `system`.
pub(crate) fn config(tls: &Tls, system: &'static str) -> Result<ClientConfig, Error> {
    let wrong = |field, problem: &dyn std::fmt::Display| Error::Configuration {
        system,
        field,
        problem: problem.to_string(),
    };
    let unreadable = |field, path: &Path, error: &PemError| {
        wrong(field, &format_args!("`{}` cannot be read: {error}", path.display()))
    };
    let certificates = |path: &Path, field| {
        let unreadable = |error: PemError| unreadable(field, path, &error);
        let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
        let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable)?;
        match certificates.is_empty() {
            true => Err(wrong(field, &format_args!("`{}` holds no certificate", path.display()))),
            false => Ok(certificates),
        }
    };
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
    match (&tls.certificate, &tls.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(path)) => {
            let key =
                PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable("tls.key", path, &error))?;
            let chain = certificates(certificate, "tls.certificate")?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong("tls.key", &error))
        }
        _ => Err(wrong("tls", &"set `certificate` and `key` together, or neither")),
    }
}
