use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;

use super::Failure;
use super::frame::{self, Frame};
use super::handshake::greet;
use super::wire::Wire;
use crate::postgres::Config;
use crate::postgres::error::SYSTEM;
use crate::tls;

/// PostgreSQL counts time from 2000-01-01.
const EPOCH: Duration = Duration::from_secs(946_684_800);

/// A connection in replication mode.
pub(in crate::postgres) struct Replication {
    wire: Wire,
}

/// What the server says while it streams.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Word {
    /// A message of the output plugin.
    Data(Bytes),
    /// It lives.
    Keepalive {
        /// Up to where it has read its log.
        wal_end: u64,
        /// It will hang up if it hears nothing soon.
        asks: bool,
    },
}

impl Replication {
    /// Connects, with settings of the session in `options`. Messages may have up to `bytes_max` bytes.
    pub(in crate::postgres) async fn connect(
        config: &Config,
        options: &str,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let mut wire = Wire::connect(&config.host, config.port, bytes_max).await?;
        if let Some(settings) = &config.tls {
            wire = wire.encrypt(&config.host, tls::config(settings, SYSTEM).map_err(Failure::Tls)?).await?;
        }
        let parameters = [
            ("user", config.user.as_str()),
            ("database", &config.database),
            ("application_name", &config.application_name),
            ("replication", "database"),
            ("client_encoding", "UTF8"),
            ("options", options),
        ];
        greet(&mut wire, &parameters, config.password()).await?;
        Ok(Self { wire })
    }

    /// Asks which cluster this is, and which of its histories: a standby that is promoted begins another one.
    ///
    /// # Errors
    /// Also [`Failure::Standby`]; it is asked first, or the history could change after it was told.
    pub(in crate::postgres) async fn identify(&mut self) -> Result<(String, String), Failure> {
        let (is_standby, _) = self.row("SELECT pg_is_in_recovery(), ''").await?;
        match is_standby.as_str() {
            "f" => self.row("IDENTIFY_SYSTEM").await,
            _ => Err(Failure::Standby),
        }
    }

    /// Asks for a row and returns its first two columns.
    async fn row(&mut self, command: &str) -> Result<(String, String), Failure> {
        self.ask(command).await?;
        let mut row = None;
        loop {
            let Frame { tag, body } = self.wire.next().await?;
            match tag {
                b'D' => row = two_columns(body),
                b'E' => return Err(frame::error(&body)),
                b'Z' => return row.ok_or(Failure::Protocol("a question has no answer")),
                _ => {}
            }
        }
    }

    /// Begins to stream what `slot` decodes for `publication`, from where the slot stands.
    pub(in crate::postgres) async fn start(&mut self, slot: &str, publication: &str) -> Result<(), Failure> {
        let (slot, publication) = (identifier(slot), identifier(publication).replace('\'', "''"));
        let command = format!(
            "START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names '{publication}')"
        );
        self.ask(&command).await?;
        loop {
            let Frame { tag, body } = self.wire.next().await?;
            match tag {
                b'W' => return Ok(()),
                b'E' => return Err(frame::error(&body)),
                b'N' | b'S' => {}
                _ => return Err(Failure::Protocol("an unforeseen answer to START_REPLICATION")),
            }
        }
    }

    /// Waits for the next word; none once the server has ended the stream.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(in crate::postgres) async fn next(&mut self) -> Result<Option<Word>, Failure> {
        loop {
            let Frame { tag, body } = self.wire.next().await?;
            match tag {
                b'd' => return word(body).map(Some),
                b'c' | b'C' => return Ok(None),
                b'E' => return Err(frame::error(&body)),
                b'N' | b'S' => {}
                _ => return Err(Failure::Protocol("an unforeseen message within the stream")),
            }
        }
    }

    /// Tells the server that all before `lsn` is handled (0 for nothing), and that this side lives; with `asks` the
    /// server answers that it lives too.
    pub(in crate::postgres) async fn confirm(&mut self, lsn: u64, asks: bool) -> Result<(), Failure> {
        let mut message = BytesMut::new();
        frontend::CopyData::new(status(lsn, SystemTime::now(), asks))?.write(&mut message);
        self.wire.send(&message).await
    }

    /// Says goodbye.
    pub(in crate::postgres) async fn end(mut self) -> Result<(), Failure> {
        let mut message = BytesMut::new();
        frontend::copy_done(&mut message);
        frontend::terminate(&mut message);
        self.wire.send(&message).await?;
        self.wire.shutdown().await
    }

    async fn ask(&mut self, command: &str) -> Result<(), Failure> {
        let mut message = BytesMut::new();
        frontend::query(command, &mut message)?;
        self.wire.send(&message).await
    }
}

/// Writes a name as SQL wants it.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes a standby status update: written, flushed and applied up to `lsn`.
fn status(lsn: u64, now: SystemTime, asks: bool) -> Bytes {
    let since = now.duration_since(SystemTime::UNIX_EPOCH + EPOCH).unwrap_or_default();
    let mut body = BytesMut::with_capacity(34);
    body.put_u8(b'r');
    body.put_u64(lsn);
    body.put_u64(lsn);
    body.put_u64(lsn);
    body.put_i64(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    body.put_u8(u8::from(asks));
    body.freeze()
}

/// Reads the body of a `CopyData` message.
pub(super) fn word(mut body: Bytes) -> Result<Word, Failure> {
    const SHORT: Failure = Failure::Protocol("a message of the stream is too short");
    match body.try_get_u8().map_err(|_| SHORT)? {
        // Where the data begins, how far the log goes, and the server's time.
        b'w' if body.len() >= 24 => Ok(Word::Data(body.split_off(24))),
        b'k' if body.len() >= 17 => {
            let wal_end = body.get_u64();
            Ok(Word::Keepalive { wal_end, asks: body[8] != 0 })
        }
        b'w' | b'k' => Err(SHORT),
        _ => Err(Failure::Protocol("a message of the stream is of an unknown kind")),
    }
}

/// Reads the first two columns of a `DataRow`.
pub(super) fn two_columns(mut body: Bytes) -> Option<(String, String)> {
    if body.try_get_u16().ok()? < 2 {
        return None;
    }
    let mut column = || {
        let length = usize::try_from(body.try_get_i32().ok()?).ok()?;
        let text = body.get(..length)?.to_vec();
        body.advance(length);
        String::from_utf8(text).ok()
    };
    Some((column()?, column()?))
}
