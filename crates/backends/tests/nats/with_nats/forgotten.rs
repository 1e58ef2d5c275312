//! A server that is killed forgets what it has delivered last, for it writes that down later. What a receiver has put
//! aside then, because something before it went elsewhere, must not be handed out as if nothing were missing.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use steadfast_backends::nats::{Config, NatsSink, NatsSource};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Sink, Source, Subscribe};
use steadfast_servers::Nats;

use super::support::{config, started_durable};

const EVENTS: usize = 12;
/// How many go elsewhere.
const TAKEN: usize = 4;
const CONSUMER: &str = "g-0";

/// Somebody who is given messages of the consumer and never says what became of them.
struct Thief(BufReader<TcpStream>);

impl Thief {
    fn connect(nats: &Nats) -> Self {
        let stream = TcpStream::connect(nats.address()).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        let mut thief = Self(BufReader::new(stream));
        thief.say(r#"CONNECT {"verbose":false,"headers":true,"lang":"test","version":"1"}"#);
        thief.say("SUB thief 1");
        thief
    }

    fn say(&mut self, line: &str) {
        write!(self.0.get_mut(), "{line}\r\n").expect("written");
    }

    fn ask(&mut self, what: &str, request: &str) {
        self.say(&format!("PUB $JS.API.CONSUMER.{what}.events.{CONSUMER} thief {}", request.len()));
        self.say(request);
    }

    /// Waits for a line of the server that holds `words`.
    fn hear(&mut self, words: &str) -> String {
        loop {
            let mut line = Vec::new();
            self.0.read_until(b'\n', &mut line).expect("in time");
            let line = String::from_utf8_lossy(&line).into_owned();
            assert!(!line.is_empty() && !line.starts_with("-ERR"), "{line}");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Takes the next messages and returns once it has them.
    fn take(&mut self, count: usize) {
        self.ask("MSG.NEXT", &format!(r#"{{"batch":{count},"expires":5000000000}}"#));
        (0..count).for_each(|_| drop(self.hear("$JS.ACK.")));
    }

    /// Waits until the consumer has given `count` messages to anybody and waits for what became of them.
    fn wait_until_given(&mut self, count: usize) {
        let given = format!(r#""num_ack_pending":{count},"#);
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(20), "{count} were not given");
            self.ask("INFO", "{}");
            if self.hear("num_ack_pending").contains(&given) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Makes the server, which does not run, forget what it has delivered.
fn forget_deliveries(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => forget_deliveries(&path),
            // The file that says how a consumer stands.
            path if path.ends_with("o.dat") => std::fs::remove_file(path).map_or(0, |()| 1),
            _ => 0,
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_is_not_handed_out_after_the_server_forgot_what_was_before_it() {
    let mut nats = started_durable().await;
    // Long enough that nothing comes again by itself.
    let lease = HumanDuration(Duration::from_secs(60));
    let config = Config { shards: 1, lease, ..config(&nats) };
    let sink = NatsSink::new(config.clone()).expect("the configuration is right");
    let source = NatsSource::new(config).expect("the configuration is right");
    let soon = || Deadline::within(Duration::from_secs(20));
    let event = |number: usize| {
        Event::new("/test", "test.sent").subject("key").data("text/plain", number.to_string())
    };
    let events: Vec<Event> = (0..EVENTS).map(event).collect();
    // The consumer is made.
    let first = source.open(&Subscribe::new("g")).await.expect("it opens");
    first.close(soon()).await.expect("it closes");
    sink.send(&events, Durability::Durable, soon()).await.expect("they are sent");

    let mut thief = Thief::connect(&nats);
    tokio::task::block_in_place(|| thief.take(TAKEN));
    let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
    tokio::task::block_in_place(|| {
        // The rest was put aside.
        thief.wait_until_given(EVENTS);
        nats.kill();
        assert!(forget_deliveries(&nats.folder()) > 0, "the server has no such file");
        nats.restart().expect("it starts again");
    });
    let mut seen = Vec::new();
    while seen.len() < EVENTS {
        let received = tokio::time::timeout(Duration::from_secs(20), receiver.receive(64)).await;
        let received = received.unwrap_or_else(|_| panic!("only {seen:?} came")).expect("it receives");
        seen.extend(
            received.iter().map(|received| String::from_utf8_lossy(received.event.data()).into_owned()),
        );
    }
    let all: Vec<String> = (0..EVENTS).map(|number| number.to_string()).collect();
    assert_eq!(seen, all);
    receiver.close(soon()).await.expect("it closes");
}
