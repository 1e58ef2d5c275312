use std::path::Path;
use std::process::Command;
use std::time::Duration;

use steadfast_backends::kafka::{Config, Create, KafkaSink, KafkaSource, Mechanism, Sasl};
use steadfast_backends::{Secret, Tls};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Error, Sink, Source, Subscribe};
use steadfast_servers::Kafka;

use super::pool;

async fn send(config: Config, durability: Durability, within: Duration) -> Result<Durability, Error> {
    let sink = KafkaSink::new(config)?;
    let event = Event::new("/test", "test.sent").subject("k").build();
    let sent = sink.send(&[event], durability, Deadline::within(within)).await;
    sink.close(Deadline::within(Duration::from_secs(5))).await.ok();
    sent
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_promised_is_checked() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = node.config();
    let missing = Config { create: None, ..config.clone() };
    let error = send(missing, Durability::Written, SOON).await.expect_err("the topic is not there");
    assert!(matches!(error, Error::Configuration { field: "topic", .. }), "{error:?}");

    assert_eq!(
        send(config.clone(), Durability::Written, SOON).await.expect("it is sent"),
        Durability::Written
    );
    let error = send(config.clone(), Durability::Durable, SOON).await.expect_err("nothing is synced");
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    // Kafka itself would take such a topic for replicated enough as soon as its one replica has an event.
    for lonely in [config, node.config()] {
        let lonely = Config { replicas_min: 2, ..lonely };
        let error = send(lonely, Durability::Replicated, SOON).await.expect_err("one replica is not two");
        assert!(matches!(error, Error::Configuration { field: "replicasMin", .. }), "{error:?}");
    }
}

/// Makes a key and a certificate for the loopback, and what a node's keystore holds.
fn certify(folder: &Path) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    openssl.args([
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    let made =
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().expect("openssl is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |path| std::fs::read_to_string(path).expect("it was made");
    std::fs::write(folder.join("keystore.pem"), read(key) + &read(certificate)).expect("it is written");
}

const LOGIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                     username=\"admin\" password=\"admin\" user_admin=\"admin\" user_orders=\"hunter2\";";

#[tokio::test(flavor = "multi_thread")]
async fn who_we_are_is_proven_and_never_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    certify(folder.path());
    let path = |name: &str| folder.path().join(name);
    let store = |name: &str| path(name).to_str().expect("it is text").to_owned();
    let (keys, authorities) = (store("keystore.pem"), store("certificate.pem"));
    let node = tokio::task::spawn_blocking(move || {
        Kafka::start_with(&[
            ("listener.security.protocol.map", "CLIENTS:SASL_SSL,CONTROLLER:PLAINTEXT"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("sasl.mechanism.inter.broker.protocol", "PLAIN"),
            ("listener.name.clients.plain.sasl.jaas.config", LOGIN),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", &keys),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", &authorities),
        ])
    });
    let node = node.await.expect("it does not panic").expect("the node starts");
    let sasl = |password: &str| {
        let (mechanism, username) = (Mechanism::Plain, "orders".to_owned());
        Some(Sasl { mechanism, username, password: Secret::new(password) })
    };
    let right = Config {
        brokers: vec![node.address().to_string()],
        topic: "secret".to_owned(),
        create: Some(Create { partitions: 1, replicas: 1 }),
        tls: Some(Tls { authority: Some(path("certificate.pem")), ..Tls::default() }),
        sasl: sasl("hunter2"),
        answer_within: HumanDuration(Duration::from_secs(3)),
        ..Config::default()
    };
    assert_eq!(
        send(right.clone(), Durability::Written, SOON).await.expect("it is let in"),
        Durability::Written
    );

    let unknown = Config { tls: Some(Tls::default()), ..right.clone() };
    let stranger = Config { sasl: sasl("hunter3"), ..right };
    for wrong in [unknown, stranger] {
        let error = send(wrong.clone(), Durability::Written, SOON).await.expect_err("it is not let in");
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {wrong:?}").contains("hunter"), "{error:?}");
        let opened = KafkaSource::new(wrong).expect("the configuration is right");
        let opened = opened.open(&Subscribe::new("g")).await.map(drop);
        assert!(matches!(opened, Err(Error::Denied { .. })), "{opened:?}");
    }
}
