//! What one connection is answered.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use steadfast_base::Seed;

use super::line::{self, Line};
use super::{Code, Hello, LINE_MAX, Refusal, Request, Response, VERSION};
use crate::Fault;
use crate::injector::Leases;

/// Answers the requests of one connection until it is closed, times out or sends too long a line.
pub(super) fn serve(stream: &UnixStream, leases: &Leases) {
    let mut from = BufReader::new(stream);
    loop {
        let (response, goes_on) = match line::read(&mut from, LINE_MAX) {
            Ok(Line::Whole(line)) if line.trim_ascii().is_empty() => continue,
            Ok(Line::Whole(line)) => (respond(&line, leases), true),
            Ok(Line::TooLong) => {
                (refuse(Code::TooLong, format!("the line is longer than {LINE_MAX} bytes")), false)
            }
            Ok(Line::End) | Err(_) => return,
        };
        if send(stream, &response).is_err() || !goes_on {
            return;
        }
    }
}

/// Writes one response and the end of its line.
pub(super) fn send(mut stream: &UnixStream, response: &Response) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    stream.write_all(&line)
}

pub(super) fn refuse(code: Code, message: String) -> Response {
    Response::Refused(Refusal { code, message })
}

fn respond(line: &[u8], leases: &Leases) -> Response {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return refuse(Code::Malformed, error.to_string()),
    };
    match request {
        Request::Hello {} => Response::Hello(Hello {
            version: VERSION,
            pid: std::process::id(),
            workers: leases.workers(),
            kinds: Fault::KINDS.map(str::to_owned).into(),
        }),
        Request::Inject { id, ttl_ms, fault, seed } => {
            leases.inject(&id, fault, Duration::from_millis(ttl_ms), seed.map(Seed::new)).into()
        }
        Request::Renew { id, ttl_ms } => leases.renew(&id, Duration::from_millis(ttl_ms)).into(),
        Request::Revoke { id } => leases.revoke(&id).into(),
        Request::List {} => Response::Leases(leases.list()),
    }
}
