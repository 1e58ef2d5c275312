use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::TryStreamExt;
use nkeys::KeyPair;
use steadfast_backends::Secret;
use steadfast_backends::nats::store::{self, NatsStore};
use steadfast_backends::nats::{Config, NatsSink, NatsSource};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, Error as StoreError, EventStore, Query};
use steadfast_core::transport::{Error, Sink, Source, Subscribe};
use steadfast_servers::NatsSettings;
use tempfile::NamedTempFile;

use super::support::{config, started, started_durable};

async fn send(config: Config, event: Event) -> Result<Durability, Error> {
    let deadline = Deadline::within(Duration::from_secs(10));
    NatsSink::new(config)?.send(&[event], Durability::Durable, deadline).await
}

fn event() -> Event {
    Event::new("/test", "test.sent").build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_and_never_printed() {
    let further = "authorization { token: \"hunter2\" }".to_owned();
    let nats = started(NatsSettings { sync_always: true, further }).await;
    let right = Config { token: Some(Secret::new("hunter2")), ..config(&nats) };
    assert_eq!(send(right.clone(), event()).await.expect("it is let in"), Durability::Durable);
    for token in [None, Some(Secret::new("hunter3"))] {
        let wrong = Config { token, ..right.clone() };
        let error = send(wrong.clone(), event()).await.expect_err("it is not let in");
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {wrong:?}").contains("hunter"), "{error:?}");
        let source = NatsSource::new(wrong).expect("the configuration is right");
        assert!(matches!(source.open(&Subscribe::new("g")).await, Err(Error::Denied { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_shards_and_an_event_too_large_are_refused() {
    let nats = started_durable().await;
    send(config(&nats), event()).await.expect("it is sent");
    let error = send(Config { shards: 3, ..config(&nats) }, event()).await;
    assert!(matches!(error, Err(Error::Configuration { field: "shards", .. })), "{error:?}");
    // The server takes 1 MiB.
    let large = Event::new("/test", "test.sent").bytes(vec![0; 1 << 20]);
    let error = send(config(&nats), large).await;
    assert!(matches!(error, Err(Error::Rejected { .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authority_that_is_configured_and_no_other() {
    let made = crate::tls::certificates();
    let further = format!("tls {{ cert_file: {:?}, key_file: {:?} }}", made.certificate, made.key);
    let nats = started(NatsSettings { sync_always: true, further }).await;
    let tls = |authority| Some(steadfast_backends::Tls { authority, ..Default::default() });
    let right = Config { tls: tls(Some(made.authority.clone())), ..config(&nats) };
    send(right.clone(), event()).await.expect("it is trusted");
    let strict = NatsSink::new(Config { tls: tls(None), ..right }).expect("the configuration is right");
    let hurry = Deadline::within(Duration::from_secs(1));
    let error = strict.send(&[event()], Durability::Durable, hurry).await;
    assert!(matches!(error, Err(Error::Unavailable { .. })), "{error:?}");

    // The store, by a URL.
    let url = |scheme: &str, rest: &str| {
        format!("{scheme}://{}?sync=always{rest}", nats.address()).parse::<Config>().expect("a URL")
    };
    let open = |config| NatsStore::open(config, store::Settings::default());
    let trusted = format!("&authority={}", made.authority.display());
    let store = open(url("tls", &trusted)).await.expect("it is trusted");
    let appended = store.append(Batch::to_stream("s", [event()]), Condition::Any, Durability::Durable).await;
    appended.expect("appended");
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.len(), 1);
    for wrong in [url("tls", ""), url("nats", "")] {
        let patience = HumanDuration(Duration::from_millis(500));
        let settings = store::Settings { patience, ..store::Settings::default() };
        let refused =
            NatsStore::open(wrong, settings).await.map(drop).expect_err("another authority, or none");
        assert!(matches!(&refused, StoreError::Io { .. }), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey_signs_and_is_never_printed() {
    let (right, wrong) = (KeyPair::new_user(), KeyPair::new_user());
    let further = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", right.public_key());
    let nats = started(NatsSettings { sync_always: true, further }).await;
    let with =
        |key: &KeyPair| Config { nkey: Some(Secret::new(key.seed().expect("it has one"))), ..config(&nats) };
    send(with(&right), event()).await.expect("it is let in");
    let malformed = Config { nkey: Some(Secret::new("SUhunter2")), ..config(&nats) };
    for refused in [with(&wrong), malformed, config(&nats)] {
        let error = send(refused.clone(), event()).await.expect_err("it is not let in");
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        let shown = format!("{error} {error:?} {refused:?}");
        assert!(!shown.contains("SU") && !shown.contains("hunter"), "{shown}");
    }
    let both = Config { token: Some(Secret::new("hunter2")), ..with(&right) };
    let error = send(both, event()).await.expect_err("two ways");
    assert!(error.to_string().contains("give one of"), "{error}");
}

/// A JWT as NATS has it: signed by an NKEY.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &serde_json::Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = serde_json::json!({
        "iat": 1, "iss": issuer.public_key(), "name": "test", "sub": subject.public_key(), "nats": nats,
    });
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = issuer.sign(text.as_bytes()).expect("it can sign");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials(jwt: &str, key: &KeyPair) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    let seed = key.seed().expect("it has one");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(file.path(), text).expect("it is ours");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_credentials_is_used_and_never_printed() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = serde_json::json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_operator = jwt(&operator, &operator, &serde_json::json!({"type": "operator", "version": 2}));
    let account_of = |key: &KeyPair, limits: &serde_json::Value| {
        jwt(&operator, key, &serde_json::json!({"type": "account", "version": 2, "limits": limits}))
    };
    let of_account = account_of(&account, &limits);
    // The server wants an account of its own, without JetStream.
    let system = KeyPair::new_account();
    let of_system =
        account_of(&system, &serde_json::json!({"subs": -1, "conn": -1, "data": -1, "payload": -1}));
    let of_user = serde_json::json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}});
    let of_user = jwt(&account, &user, &of_user);
    let further = format!(
        "operator: {of_operator}\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: {of_account}, {system}: {of_system} }}",
        account.public_key(),
        system = system.public_key(),
    );
    let nats = started(NatsSettings { sync_always: true, further }).await;
    let with = |file: &NamedTempFile| Config { credentials: Some(file.path().to_owned()), ..config(&nats) };
    send(with(&credentials(&of_user, &user)), event()).await.expect("it is let in");
    let stolen = credentials(&of_user, &KeyPair::new_user());
    let error = send(with(&stolen), event()).await.expect_err("the key is not its own");
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    let empty = NamedTempFile::new().expect("a temporary file");
    let absent = Config { credentials: Some("/nowhere.creds".into()), ..config(&nats) };
    for wrong in [with(&empty), absent] {
        let error = send(wrong, event()).await.expect_err("there is nothing");
        assert!(matches!(error, Error::Configuration { field: "credentials", .. }), "{error:?}");
    }
}

async fn jetstream(address: &str) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(address).await.expect("it connects"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_aside_does_not_fill_the_stream_for_good() {
    let nats = started_durable().await;
    let config = Config { shards: 1, length_max: 20, ..config(&nats) };
    send(config.clone(), event()).await.expect("it is sent");
    let context = jetstream(&config.address).await;
    for _ in 0..19 {
        let stored = context.publish("events.refused", "no event".into()).await.expect("it is published");
        stored.await.expect("it is stored");
    }
    for _ in 0..5 {
        send(config.clone(), event()).await.expect("there is room");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_deletes_what_is_not_handled_is_refused() {
    use async_nats::jetstream::stream;
    let nats = started_durable().await;
    let context = jetstream(&nats.address().to_string()).await;
    let right = stream::Config {
        subjects: vec!["*.*".to_owned()],
        discard: stream::DiscardPolicy::New,
        ..stream::Config::default()
    };
    let made = |name: &str| {
        let subjects = vec![format!("{name}.*")];
        stream::Config { name: name.to_owned(), subjects, ..right.clone() }
    };
    let oldest = stream::Config { discard: stream::DiscardPolicy::Old, ..made("oldest") };
    let aged = stream::Config { max_age: Duration::from_secs(3600), ..made("aged") };
    let queue = stream::Config { retention: stream::RetentionPolicy::WorkQueue, ..made("queue") };
    let other = stream::Config { subjects: vec!["elsewhere".to_owned()], ..made("other") };
    for (made, problem) in
        [(oldest, "discard: new"), (aged, "max_age"), (queue, "retention"), (other, "other.*")]
    {
        let config = Config { stream: made.name.clone(), ..config(&nats) };
        context.create_stream(made).await.expect("it is made");
        let error = send(config, event()).await.expect_err("events would be lost");
        assert!(
            matches!(&error, Error::Configuration { field: "stream", .. })
                && error.to_string().contains(problem),
            "{error}"
        );
    }
    let config = Config { stream: "right".to_owned(), ..config(&nats) };
    context.create_stream(made("right")).await.expect("it is made");
    send(config, event()).await.expect("it is sent");
}
