use std::time::Duration;

use steadfast_backends::Secret;
use steadfast_backends::nats::{Config, NatsSink, NatsSource};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Sink, Source, Subscribe};
use steadfast_servers::NatsSettings;

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
}
