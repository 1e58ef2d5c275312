//! The conformance suite of transports: one row per key, which each mark changes.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::change::Change;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_core::Event;
use steadfast_core::testing::transport::{Feed, Mark, Opened, TransportFactory};

use super::proxy::Proxy;
use super::support::Database;

/// A slot begins where it is made: for cases that feed before they open, it is made before.
const GROUPS: [&str; 3] = ["successors", "closing", "visitors"];

struct Slot(Option<Proxy>);

struct Rows(Database);

impl TransportFactory for Slot {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        async {
            let database = Database::schema("CREATE TABLE marks (id int PRIMARY KEY, number int)").await;
            let proxy = Proxy::start(database.server.address());
            let config = Config { port: proxy.address().port(), ..database.config.clone() };
            self.0 = Some(proxy);
            let own = config.user.clone();
            let settings = Settings { slot: own.clone(), publication: own, ..database.settings(&["marks"]) };
            let changes = Changes::new(config, settings).expect("it is right");
            for group in GROUPS {
                changes.install(group).await.expect("the slot is made");
            }
            Opened::fed(Arc::new(changes), Arc::new(Rows(database)))
        }
        .boxed()
    }

    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        self.0.clone().map(|proxy| async move { proxy.cut() }.boxed())
    }

    fn restore(&mut self) -> BoxFuture<'_, ()> {
        self.0.as_ref().expect("it is open").restore();
        async {}.boxed()
    }
}

impl Feed for Rows {
    fn feed<'a>(&'a self, marks: &'a [Mark]) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let sql = "INSERT INTO marks VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET number = $2";
            let statement = self.0.client.prepare(sql).await.map_err(|error| error.to_string())?;
            for mark in marks {
                let (key, number) = (mark.key as i32, mark.number as i32);
                self.0
                    .client
                    .execute(&statement, &[&key, &number])
                    .await
                    .map_err(|error| error.to_string())?;
            }
            Ok(())
        }
        .boxed()
    }

    fn mark(&self, event: &Event) -> Option<Mark> {
        let row = Change::of(event).ok()?.after?;
        let number = |name: &str| u32::try_from(row.get(name)?.as_u64()?).ok();
        Some(Mark { key: number("id")?, number: number("number")? })
    }
}

steadfast_core::transport_conformance!(Slot(None));

#[test]
fn receivers_that_stand_by_come_and_go_and_nothing_is_lost() {
    crate::stand_by::receivers_that_come_and_go_lose_nothing(Slot(None));
}
