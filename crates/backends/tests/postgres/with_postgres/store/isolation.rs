//! A role or a database may have another isolation than the one that conditions rely on.

use std::sync::Arc;

use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore, Filter, Position};

use super::tail::APPEND;
use super::{Place, event};
use crate::with_postgres::support::{until, with_isolation};

/// Whoever has waited for its turn sees what was appended meanwhile, and not what was there when it came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_sees_what_was_appended_while_it_waited_whatever_the_role_says() {
    for isolation in ["repeatable read", "serializable"] {
        let mut place = Place::alone().await;
        place.config = with_isolation(&place.config, isolation).await;
        let store = Arc::new(place.open().await);
        let held = place.client().await;
        // Not of the role's isolation itself, so that it is refused nothing.
        held.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await.expect("begun");
        held.batch_execute(APPEND).await.expect("appended, and not yet committed");

        let waiting = tokio::spawn({
            let store = Arc::clone(&store);
            async move {
                let filter = Filter { streams: vec!["held".into()], ..Filter::all() };
                let nothing = Condition::NoneMatching { filter, after: Position::START };
                store.append(Batch::to_stream("other", [event("e")]), nothing, Durability::Durable).await
            }
        });
        let asking = place.client().await;
        let waits =
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock')";
        until(async || asking.query_one(waits, &[&place.config.user]).await.expect("it answers").get(0))
            .await;
        held.batch_execute("COMMIT").await.expect("committed");
        let refused = waiting.await.expect("no panic");
        assert!(matches!(&refused, Err(Error::Conflict { .. })), "{isolation}: {refused:?}");
        // The next one on the same connection as well.
        let batch = Batch::to_stream("other", [event("e")]);
        store.append(batch, Condition::Any, Durability::Durable).await.expect("it goes on");
    }
}
