//! A service that keeps a list of records, on the standard library alone: the system under test of this crate's
//! tests, and something small to try a first experiment on.
//!
//! `POST /records` with the header `Idempotency-Key` makes a record and answers `201 {"id": …}`; the same key gives
//! the same answer. `GET /events` lists what was made, `GET /ready` says whether it serves. Flags make it misbehave
//! in one way each.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How it is started.
#[derive(Debug, Default, Clone)]
struct Flags {
    /// `--listen ADDRESS`: where it serves.
    listen: String,
    /// `--addr-file FILE`: where it writes the address that it got.
    addr_file: Option<PathBuf>,
    /// `--never-ready`: `/ready` answers 503 for ever.
    never_ready: bool,
    /// `--die-after N`: it ends by itself, code 7, instead of making the Nth record.
    die_after: Option<u64>,
    /// `--refuse`: it answers each command with 500.
    refuse: bool,
    /// `--lose N`: the Nth record is acknowledged and not kept.
    lose: Option<u64>,
    /// `--twice N`: the Nth record is kept twice.
    twice: Option<u64>,
    /// `--children`: it starts a child, and one that leaves its session.
    children: bool,
}

impl Flags {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self { listen: "127.0.0.1:0".to_owned(), ..Self::default() };
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match flag.as_str() {
                "--listen" => flags.listen = value()?,
                "--addr-file" => flags.addr_file = Some(value()?.into()),
                "--never-ready" => flags.never_ready = true,
                "--die-after" => flags.die_after = Some(number(value()?)?),
                "--refuse" => flags.refuse = true,
                "--lose" => flags.lose = Some(number(value()?)?),
                "--twice" => flags.twice = Some(number(value()?)?),
                "--children" => flags.children = true,
                _ => return Err(format!("unknown flag {flag}")),
            }
        }
        Ok(flags)
    }
}

fn main() -> ExitCode {
    match Flags::parse(std::env::args().skip(1)).and_then(|flags| serve(&flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("ledger: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: &Flags) -> Result<(), String> {
    let listener = TcpListener::bind(&flags.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", flags.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    if flags.children {
        bring_forth("sleep", &["600"])?;
        bring_forth("setsid", &["sleep", "600"])?;
    }
    if let Some(file) = &flags.addr_file {
        // Whoever waits for the file must not read half of it.
        let written = file.with_extension("new");
        std::fs::write(&written, address.to_string()).map_err(|error| error.to_string())?;
        std::fs::rename(&written, file).map_err(|error| error.to_string())?;
    }
    eprintln!("ledger: listening on {address}");
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    for stream in listener.incoming().flatten() {
        let (ledger, flags) = (Arc::clone(&ledger), flags.clone());
        std::thread::spawn(move || connection(stream, &ledger, &flags));
    }
    Ok(())
}

fn bring_forth(program: &str, arguments: &[&str]) -> Result<(), String> {
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    child.map(drop).map_err(|error| format!("{program}: {error}"))
}

/// What was made, in order.
#[derive(Debug, Default)]
struct Ledger {
    made: u64,
    id_by_key: HashMap<String, u64>,
    /// Identity and key of each record.
    kept: Vec<(u64, String)>,
}

impl Ledger {
    fn record(&mut self, key: &str, flags: &Flags) -> u64 {
        if let Some(id) = self.id_by_key.get(key) {
            return *id;
        }
        self.made += 1;
        let this = Some(self.made);
        if this == flags.die_after {
            eprintln!("ledger: the disk is on fire");
            std::process::exit(7);
        }
        self.id_by_key.insert(key.to_owned(), self.made);
        let times = 1 + usize::from(this == flags.twice) - usize::from(this == flags.lose);
        self.kept.extend(std::iter::repeat_n((self.made, key.to_owned()), times));
        self.made
    }

    fn events(&self) -> String {
        let events: Vec<String> = self
            .kept
            .iter()
            .map(|(id, key)| format!(r#"{{"subject":"r{id}","commandId":"{key}","type":"record.made"}}"#))
            .collect();
        format!(r#"{{"events":[{}]}}"#, events.join(","))
    }
}

struct Request {
    line: String,
    key: String,
}

/// Serves one connection until its client closes it or speaks nonsense.
fn connection(stream: TcpStream, ledger: &Mutex<Ledger>, flags: &Flags) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, body) = match request.line.as_str() {
            "GET /ready" if flags.never_ready => ("503 Service Unavailable", r#"{"ready":false}"#.to_owned()),
            "GET /ready" => ("200 OK", r#"{"ready":true}"#.to_owned()),
            "GET /events" => ("200 OK", ledger.events()),
            "POST /records" if flags.refuse => ("500 Internal Server Error", "{}".to_owned()),
            "POST /records" => {
                ("201 Created", format!(r#"{{"id":"r{}"}}"#, ledger.record(&request.key, flags)))
            }
            _ => ("404 Not Found", "{}".to_owned()),
        };
        drop(ledger);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads a request; its body is thrown away.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let line = format!("{} {}", words.next()?, words.next()?);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => key = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
    Some(Request { line, key })
}
