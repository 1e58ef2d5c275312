use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Failure;
use super::frame::{self, Frame};

/// The bytes to and from the server.
enum Stream {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// A connection that messages are read from and written to.
pub(super) struct Wire {
    stream: Stream,
    read: BytesMut,
    /// The largest message that is read, in bytes.
    bytes_max: usize,
}

impl Wire {
    /// Connects in clear text.
    pub(super) async fn connect(host: &str, port: u16, bytes_max: usize) -> Result<Self, Failure> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Stream::Clear(stream), read: BytesMut::with_capacity(8 * 1024), bytes_max })
    }

    /// Asks the server to encrypt from now on, which it must.
    pub(super) async fn encrypt(self, host: &str, tls: rustls::ClientConfig) -> Result<Self, Failure> {
        let Stream::Clear(mut stream) = self.stream else {
            return Err(Failure::Protocol("it is encrypted already"));
        };
        let mut request = BytesMut::new();
        postgres_protocol::message::frontend::ssl_request(&mut request);
        stream.write_all(&request).await?;
        if stream.read_u8().await? != b'S' {
            return Err(Failure::Authentication("the server does not speak TLS".to_owned()));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host cannot be a certificate's"))?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        // Whatever was read before is not to be trusted.
        Ok(Self { stream: Stream::Encrypted(Box::new(stream)), read: BytesMut::new(), ..self })
    }

    /// Reads the next message.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Frame, Failure> {
        loop {
            if let Some(frame) = frame::take(&mut self.read, self.bytes_max)? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has hung up").into());
            }
        }
    }

    /// Writes messages.
    pub(super) async fn send(&mut self, messages: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(messages).await?;
        Ok(self.stream.flush().await?)
    }

    /// Says that nothing more will be written.
    pub(super) async fn shutdown(&mut self) -> Result<(), Failure> {
        Ok(self.stream.shutdown().await?)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
