//! The conformance suite of transports: one row per key, which each mark changes.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_backends::change::Change;
use steadfast_core::Event;
use steadfast_core::testing::transport::{Feed, Mark, Opened, TransportFactory};

use crate::support::{Database, database};

struct Sqlite(Option<Arc<Rows>>);

struct Rows(Mutex<Database>);

impl TransportFactory for Sqlite {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        async {
            let database = database("CREATE TABLE marks (id INTEGER PRIMARY KEY, number INTEGER)");
            let changes = database.changes(&["marks"]);
            // Changes are kept from here on, also before the first receiver.
            changes.install().await.expect("it installs");
            let rows = Arc::new(Rows(Mutex::new(database)));
            self.0 = Some(Arc::clone(&rows));
            Opened::fed(Arc::new(changes), rows)
        }
        .boxed()
    }
}

impl Feed for Rows {
    fn feed<'a>(&'a self, marks: &'a [Mark]) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let sql = "INSERT INTO marks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET number = ?2";
            let database = self.0.lock();
            for mark in marks {
                database
                    .connection
                    .execute(sql, [mark.key, mark.number])
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

steadfast_core::transport_conformance!(Sqlite(None));

#[test]
fn receivers_that_stand_by_come_and_go_and_nothing_is_lost() {
    crate::stand_by::receivers_that_come_and_go_lose_nothing(Sqlite(None));
}
