use bytes::{Buf, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use super::Failure;
use super::frame::{self, Frame};
use super::wire::Wire;

/// How an authentication request is numbered.
const OK: i32 = 0;
const CLEAR_TEXT: i32 = 3;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// Introduces itself with `parameters`, proves who it is, and waits until the server is ready.
pub(super) async fn greet(
    wire: &mut Wire,
    parameters: &[(&str, &str)],
    password: &str,
) -> Result<(), Failure> {
    let mut message = BytesMut::new();
    frontend::startup_message(parameters.iter().copied(), &mut message)?;
    wire.send(&message).await?;
    let mut scram = None;
    loop {
        let Frame { tag, body } = wire.next().await?;
        match tag {
            b'R' => answer(wire, body, password, &mut scram).await?,
            b'Z' => return Ok(()),
            b'E' => return Err(frame::error(&body)),
            // Notices, parameters, and the key by which a query could be cancelled.
            b'N' | b'S' | b'K' => {}
            _ => return Err(Failure::Protocol("an unforeseen message while connecting")),
        }
    }
}

/// Answers a request for authentication.
async fn answer(
    wire: &mut Wire,
    mut body: bytes::Bytes,
    password: &str,
    scram: &mut Option<ScramSha256>,
) -> Result<(), Failure> {
    let refused = |why: String| Failure::Authentication(why);
    let kind = body.try_get_i32().map_err(|_| Failure::Protocol("a request for authentication is empty"))?;
    let mut message = BytesMut::new();
    match (kind, scram.as_mut()) {
        (OK, None) => return Ok(()),
        (OK, Some(_)) => return Ok(()),
        (CLEAR_TEXT, _) => frontend::password_message(password.as_bytes(), &mut message)?,
        (SASL, _) => {
            let offered = || body.split(|byte| *byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes());
            if !offered() {
                return Err(refused("the server offers no SCRAM-SHA-256".to_owned()));
            }
            let begun = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
            frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut message)?;
            *scram = Some(begun);
        }
        (SASL_CONTINUE, Some(scram)) => {
            scram.update(&body).map_err(|error| refused(error.to_string()))?;
            frontend::sasl_response(scram.message(), &mut message)?;
        }
        (SASL_FINAL, Some(scram)) => {
            return scram
                .finish(&body)
                .map_err(|error| refused(format!("the server is not who it should be: {error}")));
        }
        (other, _) => {
            let why = format!("the server asks for authentication of kind {other}; use scram-sha-256");
            return Err(refused(why));
        }
    }
    wire.send(&message).await
}
