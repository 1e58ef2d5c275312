//! A store whose server syncs when it is asked to.

use steadfast_backends::redis::Persistence;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore};
use steadfast_servers::RedisProgram::Redis8;

use crate::with_redis::store::conformance::OnAServer;
use crate::with_redis::store::{Place, event};
use crate::with_redis::support::ServerSettings;
use crate::with_redis::torn::half_an_append_never_appears_on;

/// What most who run a server have.
const EVERYSEC: ServerSettings = &[("appendfsync", "everysec")];

steadfast_core::store_conformance!(OnAServer::on(Redis8, &[]));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_durable_when_it_is_asked_to_be() {
    let place = Place::on(Redis8, EVERYSEC).await;
    let store = place.open().await;
    assert_eq!(store.capabilities().durability_max, Durability::Durable);
    for asked in [Durability::Accepted, Durability::Durable] {
        let appended = store.append(Batch::to_stream("s", [event("e")]), Condition::Any, asked).await;
        assert!(appended.expect("appended").achieved >= asked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_append_never_appears() {
    half_an_append_never_appears_on(Redis8).await;
}

/// The server takes the question, and never answers it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_syncs_is_not_asked() {
    let mut place = Place::on(Redis8, &[("appendfsync", "no")]).await;
    let store = place.open().await;
    assert_eq!(store.capabilities().durability_max, Durability::Accepted);
    place.config.persistence = Persistence::WaitAof;
    let refused = place.try_open().await.expect_err("it does not do what is stated");
    assert!(matches!(&refused, Error::Invalid { reason } if reason.contains("appendfsync no")), "{refused}");
}

#[cfg(target_os = "linux")]
mod with_fuse {
    use steadfast_core::store::Durability;
    use steadfast_core::testing::store as suite;
    use steadfast_servers::RedisProgram::Redis8;

    use crate::power::{self, OnServer};
    use crate::with_redis::store::with_fuse::Appendfsync;

    #[test]
    fn what_was_acknowledged_as_durable_survives_the_loss_of_power() {
        // Each append waits for the sync of that second.
        power::survives_untorn_after(OnServer::new(Appendfsync(Redis8, "everysec")), power::rounds(2), 6);
    }

    /// What was appended without being synced is, when it is appended again and asked to be.
    #[test]
    fn duplicates_are_raised_to_the_durability_asked_for() {
        let everysec = OnServer::new(Appendfsync(Redis8, "everysec"));
        power::passes(everysec, suite::duplicates_are_raised_to_the_durability_asked_for);
    }

    /// The same server, when it is not asked to sync.
    #[test]
    fn what_was_only_accepted_does_not() {
        power::is_caught(OnServer::new(Appendfsync(Redis8, "everysec")), Durability::Accepted);
    }
}
