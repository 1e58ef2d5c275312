//! Posting by TLS. The certificates were made for these tests and are of no use elsewhere.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use axum::serve::Listener;
use steadfast_backends::Tls;
use steadfast_backends::http::{HttpSink, SinkConfig};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Sink as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/http/certificates", name].iter().collect()
}

struct Encrypted(TcpListener, TlsAcceptor);

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.expect("a connection");
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

#[tokio::test]
async fn it_trusts_whom_it_is_told_to_and_nobody_else() {
    let chain = CertificateDer::pem_file_iter(file("server.pem")).expect("there");
    let chain = chain.collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let listener = Encrypted(listener, TlsAcceptor::from(Arc::new(config)));
    let router = Router::new().route("/", post(async || ()));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let send = async |host: &str, authority: Option<PathBuf>| {
        let tls = Tls { authority, ..Tls::default() };
        let sink = HttpSink::new(&SinkConfig {
            url: format!("https://{host}:{port}/"),
            tls,
            ..SinkConfig::default()
        });
        let event = [Event::new("/s", "t").build()];
        let deadline = Deadline::within(Duration::from_secs(5));
        sink.expect("valid").send(&event, Durability::Accepted, deadline).await
    };
    for host in ["localhost", "127.0.0.1"] {
        send(host, Some(file("authority.pem"))).await.expect("sent");
    }
    let unknown = send("localhost", None).await;
    assert!(
        matches!(&unknown, Err(Error::Unavailable { reason, .. }) if reason.contains("certificate")),
        "{unknown:?}"
    );
    server.abort();
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let config = |tls| SinkConfig { url: "https://localhost/".into(), tls, ..SinkConfig::default() };
    for (tls, field) in [
        (Tls { authority: Some("/nowhere.pem".into()), ..Tls::default() }, "tls.authority"),
        (Tls { certificate: Some(file("server.pem")), ..Tls::default() }, "`key`"),
        (
            Tls { certificate: Some(file("server.pem")), key: Some(file("server.pem")), ..Tls::default() },
            "tls.key",
        ),
    ] {
        let error = HttpSink::new(&config(tls)).expect_err(field).to_string();
        assert!(error.contains(field), "{error}");
    }
}
