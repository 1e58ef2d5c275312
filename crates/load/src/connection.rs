//! One HTTP/1.1 connection, driven by whoever waits for its answer: no task of its own, so that an exchange wakes
//! one task and not two.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The most of an answer's body that is kept for a capture; what lies behind it is read and dropped.
pub(crate) const BODY_KEPT_MAX: usize = 1 << 20;

pub(crate) type Body = Full<Bytes>;

pub(crate) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: http1::Connection<TokioIo<TcpStream>, Body>,
    /// Set when the driver has ended; it must not be polled again.
    ended: bool,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What `Retry-After` asks, where it is a number of seconds.
    pub(crate) retry_after: Option<Duration>,
    /// The body, if it was to be kept.
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The connection turned out to be closed before anything was written; here is the request again.
    Unwritten(Box<Request<Body>>),
    /// The connection ended before the answer was complete.
    Reset,
    /// What came is not HTTP/1.1.
    Garbled,
}

impl Connection {
    /// Makes a connection to `authority`, a host with a port.
    pub(crate) async fn open(authority: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        // Requests are small: one buffer and a plain write are cheaper than a list of buffers.
        let handshake = http1::Builder::new().writev(false).handshake(TokioIo::new(stream));
        let (sender, driver) = handshake.await.map_err(io::Error::other)?;
        Ok(Self { sender, driver, ended: false })
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }

    /// Says whether another request can be sent; notices what the server did to an idle connection.
    pub(crate) async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(!self.ended && self.sender.is_ready())
        })
        .await
    }

    /// Sends `request` and waits for the whole answer, keeping its body where `keep` says so of the status.
    ///
    /// Dropped before the end, the connection is of no more use: whoever drops the future must drop it too.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Body>,
        keep: impl Fn(u16) -> bool,
    ) -> Result<Answer, Lost> {
        let response = self.head(request).await?;
        let status = response.status().as_u16();
        let header = response.headers().get(http::header::RETRY_AFTER);
        let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut answer = Answer { status, retry_after: seconds.map(Duration::from_secs), body: Vec::new() };
        let mut incoming = response.into_body();
        let keep = keep(status);
        while let Some(data) = self.data(&mut incoming).await? {
            if keep && answer.body.len() + data.len() <= BODY_KEPT_MAX {
                answer.body.extend_from_slice(&data);
            }
        }
        Ok(answer)
    }

    async fn head(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Lost> {
        let mut response = pin!(self.sender.try_send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let answered = poll_fn(|cx| {
            *ended = *ended || Pin::new(&mut *driver).poll(cx).is_ready();
            match response.as_mut().poll(cx) {
                Poll::Pending if !*ended => Poll::Pending,
                Poll::Pending => Poll::Ready(Err(Lost::Reset)),
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(request) => Lost::Unwritten(Box::new(request)),
                    None => lost(error.error()),
                })),
            }
        });
        answered.await
    }

    async fn data(&mut self, incoming: &mut Incoming) -> Result<Option<Bytes>, Lost> {
        let mut incoming = Pin::new(incoming);
        poll_fn(|cx| {
            let mut frame = incoming.as_mut().poll_frame(cx);
            if frame.is_pending() {
                self.drive(cx);
                frame = incoming.as_mut().poll_frame(cx);
            }
            match frame {
                Poll::Pending if !self.ended => Poll::Pending,
                Poll::Pending => Poll::Ready(Err(Lost::Reset)),
                Poll::Ready(None) => Poll::Ready(Ok(None)),
                // Trailers are no data, but there is nothing behind them either.
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Ok(Some(frame.into_data().unwrap_or_default()))),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(lost(&error))),
            }
        })
        .await
    }
}

fn lost(error: &hyper::Error) -> Lost {
    if error.is_parse() { Lost::Garbled } else { Lost::Reset }
}
