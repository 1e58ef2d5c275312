//! Servers on it, whose stores others test: what they have acknowledged survives where they sync, and else it does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use steadfast_base::Seed;

use super::{Cut, PowerCutFs};

fn mount() -> PowerCutFs {
    PowerCutFs::mount("power::tests::with_fuse::serves_files").expect("it is mounted")
}

/// A session in a protocol of lines.
struct Session(BufReader<TcpStream>);

impl Session {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).expect("said");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}

mod with_redis {
    mod with_fuse {
        use super::super::*;
        use crate::{Redis, RedisProgram};

        const KEYS: usize = 50;

        /// Sets keys, cuts the power, and returns how many of them are there afterwards.
        fn kept(sync: &str, cut: Cut) -> usize {
            let mut fs = mount();
            let mut redis =
                Redis::start_in(RedisProgram::Redis, fs.path(), &[("appendfsync", sync)]).expect("it starts");
            let mut session = Session::new(redis.address());
            for key in 0..KEYS {
                session.say(&format!("SET key{key} value{key}"));
                assert_eq!(session.hear(), "+OK");
            }
            fs.cut(cut).expect("cut");
            redis.kill();
            fs.restore().expect("it is mounted again");
            redis.restart().expect("it starts on what is left");
            let mut session = Session::new(redis.address());
            let found = |key: &usize| {
                session.say(&format!("GET key{key}"));
                session.hear() != "$-1" && session.hear() == format!("value{key}")
            };
            (0..KEYS).filter(found).count()
        }

        #[test]
        fn what_redis_has_synced_survives() {
            for cut in [Cut::DropAll, Cut::Torn(Seed::new(1)), Cut::Torn(Seed::new(2))] {
                assert_eq!(kept("always", cut), KEYS, "{cut:?}");
            }
        }

        /// Now and then its clock strikes between the last answer and the cut.
        #[test]
        fn what_redis_syncs_every_second_does_not() {
            assert!((0..5).any(|_| kept("everysec", Cut::DropAll) < KEYS), "nothing was lost in five cuts");
        }
    }
}

mod with_nats {
    mod with_fuse {
        use super::super::*;
        use crate::{Nats, NatsSettings};

        const MESSAGES: usize = 50;

        impl Session {
            /// Sends a request and returns its answer.
            fn request(&mut self, subject: &str, text: &str) -> String {
                self.say(&format!("PUB {subject} answer {}\r\n{text}", text.len()));
                loop {
                    let line = self.hear();
                    if line == "PING" {
                        self.say("PONG");
                    }
                    let Some(length) = line.strip_prefix("MSG ").and_then(|rest| rest.rsplit(' ').next())
                    else {
                        continue;
                    };
                    let mut text = vec![0; length.parse().expect("a length")];
                    self.0.read_exact(&mut text).expect("it answers");
                    return String::from_utf8_lossy(&text).into_owned();
                }
            }
        }

        fn connect(nats: &Nats) -> Session {
            let mut session = Session::new(nats.address());
            session.say("CONNECT {\"verbose\":false}\r\nSUB answer 1");
            session
        }

        /// Publishes to a stream, cuts the power, and returns how many messages are there afterwards.
        fn kept(sync_always: bool, cut: Cut) -> usize {
            let mut fs = mount();
            let settings = NatsSettings { sync_always, ..NatsSettings::default() };
            let mut nats = Nats::start_in(fs.path(), &settings).expect("it starts");
            let mut session = connect(&nats);
            let stream = r#"{"name":"S","subjects":["s"],"storage":"file"}"#;
            let made = session.request("$JS.API.STREAM.CREATE.S", stream);
            assert!(!made.contains("error"), "{made}");
            // So it is messages that are lost, if any, and not the stream.
            fs.sync_all().expect("synced");
            for number in 0..MESSAGES {
                let answer = session.request("s", &format!("message {number}"));
                assert!(answer.contains("seq"), "{answer}");
            }
            fs.cut(cut).expect("cut");
            nats.kill();
            fs.restore().expect("it is mounted again");
            nats.restart().expect("it starts on what is left");
            let info = connect(&nats).request("$JS.API.STREAM.INFO.S", "");
            let count = info.split("\"messages\":").nth(1).and_then(|rest| rest.split(',').next());
            count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{info}"))
        }

        #[test]
        fn what_nats_has_synced_survives() {
            for cut in [Cut::DropAll, Cut::Torn(Seed::new(1)), Cut::Torn(Seed::new(2))] {
                assert_eq!(kept(true, cut), MESSAGES, "{cut:?}");
            }
        }

        #[test]
        fn what_nats_syncs_now_and_then_does_not() {
            assert!(kept(false, Cut::DropAll) < MESSAGES);
        }
    }
}
