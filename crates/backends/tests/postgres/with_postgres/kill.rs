use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use steadfast_backends::change::Change;
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_core::EventId;
use steadfast_core::transport::{Outcome, Receiver, Settlement};
use steadfast_servers::Postgres;

use super::support::{client, close, config, hold_server, open, receive};

const KEYS: i32 = 50;
const CHANGES: usize = 10_000;

/// Adds one to a counter after another, and goes on after the server was killed: whether a commit whose answer was
/// lost has happened is read back.
async fn write(config: steadfast_backends::postgres::Config) {
    let count = async || -> Result<(), tokio_postgres::Error> {
        let mut settings = tokio_postgres::Config::new();
        settings.host(&config.host).port(config.port).user(&config.user).password(Postgres::PASSWORD);
        let (client, connection) = settings.connect(tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        loop {
            let sum: i64 = client.query_one("SELECT sum(n)::int8 FROM counters", &[]).await?.get(0);
            if sum as usize >= CHANGES {
                connection.abort();
                return Ok(());
            }
            // Some transactions have several changes.
            let sql = "UPDATE counters SET n = n + 1 WHERE id = $1 OR ($1 % 10 = 0 AND id = ($1 + 1) % 50)";
            client.execute(sql, &[&(sum as i32 % KEYS)]).await?;
        }
    };
    while count().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Receives until all counters have reached what the table says, checks order, and counts what came twice.
struct Seen {
    next: HashMap<i64, i64>,
    ids: HashSet<EventId>,
    duplicates: usize,
}

impl Seen {
    async fn some(&mut self, receiver: &dyn Receiver) {
        let Ok(received) = tokio::time::timeout(Duration::from_millis(100), receiver.receive(64)).await
        else {
            return;
        };
        let received = received.expect("it receives");
        for one in &received {
            if !self.ids.insert(one.event.id()) {
                // What an inbox does.
                self.duplicates += 1;
                continue;
            }
            let after = Change::of(&one.event).expect("a change").after.expect("an update");
            let number = |name: &str| after[name].as_i64().expect("a number");
            let next = self.next.entry(number("id")).or_insert(1);
            assert_eq!(number("n"), *next, "counter {}", number("id"));
            *next += 1;
        }
        let settlements: Vec<Settlement> =
            received.iter().map(|one| Settlement { token: one.token, outcome: Outcome::Handled }).collect();
        // While the server is down it cannot be told; then some may come again.
        let _ = receiver.settle(&settlements).await;
    }

    fn total(&self) -> usize {
        self.next.values().map(|next| *next as usize - 1).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_stream_loses_nothing() {
    let _shared = hold_server().await;
    let server = tokio::task::spawn_blocking(Postgres::start).await.expect("no panic").expect("it starts");
    let config = config(&server, "postgres");
    let admin = client(&config).await;
    let sql = format!(
        "CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); \
         INSERT INTO counters SELECT id, 0 FROM generate_series(0, {}) AS id",
        KEYS - 1
    );
    admin.batch_execute(&sql).await.expect("the counters are made");
    let settings = Settings { tables: vec!["counters".into()], ..Settings::default() };
    let changes = Changes::new(config.clone(), settings).expect("it is right");
    let mut receiver = open(&changes, "group").await;
    let writer = tokio::spawn(write(config.clone()));

    let mut seen = Seen { next: HashMap::new(), ids: HashSet::new(), duplicates: 0 };
    let (since, mut server) = (Instant::now(), Some(server));
    let mut kills = 0;
    let (mut killing, mut dies) = (None, true);
    while seen.total() < CHANGES || !writer.is_finished() {
        assert!(
            since.elapsed() < Duration::from_secs(120),
            "{} of {CHANGES} after {kills} kills",
            seen.total()
        );
        if seen.total() > (kills + 1) * CHANGES / 4 && kills < 3 {
            kills += 1;
            let mut victim = server.take().expect("it is here");
            killing = Some(tokio::task::spawn_blocking(move || {
                victim.kill();
                std::thread::sleep(Duration::from_millis(100));
                victim.restart().map(|()| victim)
            }));
            if kills == 2 {
                // This time the receiver dies with it.
                drop(std::mem::replace(&mut receiver, {
                    let restarted = killing.take().expect("just set").await.expect("no panic");
                    server = Some(restarted.expect("it starts again"));
                    open(&changes, "group").await
                }));
            }
        }
        if dies && seen.total() > CHANGES / 8 {
            // Once the receiver dies alone, with what it holds and what it has read beyond meanwhile.
            dies = false;
            receive(&*receiver, 1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(std::mem::replace(&mut receiver, open(&changes, "group").await));
        }
        seen.some(&*receiver).await;
        if let Some(restarting) = killing.take_if(|killing| killing.is_finished()) {
            server = Some(restarting.await.expect("no panic").expect("it starts again"));
        }
    }
    writer.await.expect("it does not panic");
    eprintln!("{CHANGES} changes, {kills} kills, {} duplicates, {:?}", seen.duplicates, since.elapsed());
    assert_eq!(kills, 3);
    let sum = client(&config).await.query_one("SELECT sum(n)::int8 FROM counters", &[]).await.expect("a sum");
    assert_eq!(seen.total() as i64, sum.get::<_, i64>(0), "all came, each once after the inbox");
    close(&*receiver).await;
}
