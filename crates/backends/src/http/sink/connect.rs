use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use steadfast_core::transport::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::Service;

use crate::Tls;
use crate::http::SYSTEM;
use crate::tls;

/// Connects to one address, with TLS if its URL begins with `https`.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    within: Duration,
}

/// Makes what connects to `uri`.
pub(super) fn connector(uri: &Uri, tls: &Tls, within: Duration) -> Result<Connector, Error> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(within));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = if uri.scheme_str() == Some("https") {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| Error::Configuration {
            system: SYSTEM,
            field: "url",
            problem: "has no host that a certificate can name".to_owned(),
        })?;
        let mut config = tls::config(tls, SYSTEM)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some((TlsConnector::from(Arc::new(config)), name))
    } else {
        None
    };
    Ok(Connector { tcp, tls, within })
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Stream, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, tls, within) = (self.tcp.call(uri), self.tls.clone(), self.within);
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            let io: Box<dyn Duplex> = match tls {
                Some((tls, name)) => Box::new(tokio::time::timeout(within, tls.connect(name, tcp)).await??),
                None => Box::new(tcp),
            };
            Ok(Stream(TokioIo::new(io)))
        })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, encrypted or not.
pub(super) struct Stream(TokioIo<Box<dyn Duplex>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
