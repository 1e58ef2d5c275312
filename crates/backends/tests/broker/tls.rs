//! Certificates for one test, made by `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority, and a certificate for the loopback that it has signed.
pub(crate) struct Certificates {
    _folder: tempfile::TempDir,
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) fn certificates() -> Certificates {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let (authority, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let ca_key = file("ca.key");
    let new =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    openssl(&new, &[("-keyout", &ca_key), ("-out", &authority)], &["-subj", "/CN=test authority"]);
    openssl(
        &new,
        &[("-CA", &authority), ("-CAkey", &ca_key), ("-keyout", &key), ("-out", &certificate)],
        &[
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ],
    );
    Certificates { _folder: folder, authority, certificate, key }
}

fn openssl(command: &[&str], files: &[(&str, &Path)], rest: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.args(command);
    for (option, file) in files {
        openssl.arg(option).arg(file);
    }
    let output = openssl.args(rest).output().expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
