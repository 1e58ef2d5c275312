//! The store declares what the server keeps, and no more.

use steadfast_backends::Secret;
use steadfast_backends::redis::Persistence;
use steadfast_core::store::{Batch, Condition, Durability, Error, EventStore};

use super::{Place, event};

fn batch() -> Batch {
    Batch::to_stream("s", [event("e")])
}

async fn knows_waitaof(place: &Place) -> bool {
    place.ask::<Vec<redis::Value>>("COMMAND INFO WAITAOF").await != [redis::Value::Nil]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_syncs_later_is_declared_so() {
    for settings in [
        &[("appendfsync", "everysec")][..],
        &[("appendfsync", "no")],
        &[("no-appendfsync-on-rewrite", "yes")],
        &[("appendonly", "no")],
    ] {
        let mut place = Place::with(settings).await;
        // Where it can be asked to sync, it is.
        let waits = knows_waitaof(&place).await && settings[0].0 != "appendonly";
        let store = place.open().await;
        let most = store.capabilities().durability_max;
        assert_eq!(most, if waits { Durability::Durable } else { Durability::Accepted }, "{settings:?}");
        for asked in [Durability::Accepted, Durability::Written, Durability::Durable, Durability::Replicated]
        {
            let appended = store.append(batch(), Condition::Any, asked).await;
            match appended {
                Ok(appended) => assert!(asked <= most && appended.achieved >= asked, "{settings:?}"),
                Err(error) => {
                    assert!(
                        asked > most && matches!(error, Error::Unsupported { .. }),
                        "{settings:?}: {error}"
                    );
                }
            }
        }
        let deleted = store.delete("s", None, Durability::Replicated).await;
        assert!(matches!(deleted, Err(Error::Unsupported { .. })), "{deleted:?}");
        place.config.persistence = Persistence::AppendFsyncAlways;
        let refused = place.try_open().await.expect_err("it does not do what is stated");
        let named = |reason: &str| reason.contains("persistence") && reason.contains(settings[0].0);
        assert!(matches!(&refused, Error::Invalid { reason } if named(reason)), "{settings:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_syncs_first_is_believed_once_it_says_so() {
    let mut place = Place::new().await;
    let store = place.open().await;
    assert_eq!(store.capabilities().durability_max, Durability::Durable);
    let appended = store.append(batch(), Condition::Any, Durability::Accepted).await.expect("appended");
    assert_eq!(appended.achieved, Durability::Durable);

    let waits = knows_waitaof(&place).await;
    place.config.persistence = Persistence::WaitAof;
    match place.try_open().await {
        Ok(store) => assert!(waits && store.capabilities().durability_max == Durability::Durable),
        Err(error) => assert!(!waits && matches!(error, Error::Invalid { .. }), "{error}"),
    }

    // Where it may not be asked, what is stated holds, and nothing is believed unsaid.
    let _: () = place.ask("ACL SETUSER limited on nopass ~* &* +@all -config").await;
    place.config.username = Some("limited".to_owned());
    place.config.password = Some(Secret::new("any"));
    let unsaid = if waits { Durability::Durable } else { Durability::Accepted };
    for (stated, most) in
        [(Persistence::Unknown, unsaid), (Persistence::AppendFsyncAlways, Durability::Durable)]
    {
        place.config.persistence = stated;
        assert_eq!(place.open().await.capabilities().durability_max, most, "{stated:?}");
    }
}

/// What was declared when the store was opened must hold for as long as it is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_begins_to_keep_less_is_not_used_further() {
    let place = Place::new().await;
    let store = place.open().await;
    let _: () = place.ask("CONFIG SET appendfsync everysec").await;
    let _: u32 = place.ask("CLIENT KILL TYPE normal SKIPME yes").await;
    let refused = store.append(batch(), Condition::Any, Durability::Durable).await;
    if !knows_waitaof(&place).await {
        assert!(
            matches!(&refused, Err(Error::Invalid { reason }) if reason.contains("keeps less")),
            "{refused:?}"
        );
    } else {
        assert!(refused.is_err(), "{refused:?}");
    }
    let _: () = place.ask("CONFIG SET appendfsync always").await;
    store.append(batch(), Condition::Any, Durability::Durable).await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_is_shown() {
    let mut place = Place::new().await;
    let _: () = place.ask("ACL SETUSER shop on >hunter2 ~* &* +@all").await;
    place.config.username = Some("shop".to_owned());
    place.config.password = Some(Secret::new("hunter3"));
    let denied = place.try_open().await.expect_err("the password is wrong");
    assert!(
        matches!(&denied, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied)
    );
    place.config.password = Some(Secret::new("hunter2"));
    let store = place.open().await;
    for text in [denied.to_string(), format!("{denied:?}"), format!("{store:?}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
}
