use std::path::Path;
use std::process::Command;

use futures::TryStreamExt;
use steadfast_backends::Tls;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_backends::postgres::store::{self, PostgresStore};
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
use steadfast_core::transport::Error;
use steadfast_servers::Postgres;
use tokio_postgres::Client;

use super::support::{client, close, config, handle, hold_server, open};

/// Makes an authority and a certificate for `localhost` signed by it; the server wants its key for itself.
fn certificates(folder: &Path) {
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost' > extensions
        openssl x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile extensions \
            -out server.crt
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout other.key -out other.crt
        chmod 600 server.key
        [ $(id -u) != 0 ] || chown postgres server.key server.crt";
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_encrypted_and_the_server_verified() {
    let _shared = hold_server().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    let server = tokio::task::spawn_blocking(move || {
        certificates(&path);
        let public = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, public).expect("it is ours");
        let file = |name: &str| path.join(name).display().to_string();
        let (certificate, key) = (file("server.crt"), file("server.key"));
        Postgres::start_with(&[("ssl", "on"), ("ssl_cert_file", &certificate), ("ssl_key_file", &key)])
    });
    let server = server.await.expect("no panic").expect("it starts");
    let plain = config(&server, "postgres");
    let admin = client(&plain).await;
    admin.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.expect("it is made");
    let tls =
        |authority: &str| Some(Tls { authority: Some(folder.path().join(authority)), ..Tls::default() });
    let settings = Settings { tables: vec!["t".into()], ..Settings::default() };
    let source = |config: Config| Changes::new(config, settings.clone()).expect("it is right");

    let changes = source(Config { host: "localhost".into(), tls: tls("ca.crt"), ..plain.clone() });
    let receiver = open(&changes, "a").await;
    admin.batch_execute("INSERT INTO t VALUES (1)").await.expect("it is inserted");
    handle(&*receiver, 1).await;
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)";
    let encrypted: bool = admin.query_one(sql, &[]).await.expect("it answers").get(0);
    assert!(encrypted, "the stream is encrypted too");
    close(&*receiver).await;
    let url = |authority: &str| {
        let (port, password) = (plain.port, Postgres::PASSWORD);
        let authority = folder.path().join(authority).display().to_string();
        format!("postgres://postgres:{password}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={authority}")
            .parse::<Config>()
            .expect("a URL")
    };
    the_store_is_encrypted_and_the_server_verified(url("ca.crt"), url("other.crt"), &admin).await;

    let other = source(Config { host: "localhost".into(), tls: tls("other.crt"), ..plain.clone() });
    let error = other.install("a").await.expect_err("another authority");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let unnamed = source(Config { tls: tls("ca.crt"), ..plain.clone() });
    let error = unnamed.install("a").await.expect_err("the certificate is for another name");
    assert!(error.to_string().contains("not valid for name"), "{error}");
    let public = source(Config { host: "localhost".into(), tls: Some(Tls::default()), ..plain.clone() });
    let error = public.install("a").await.expect_err("no public authority has signed it");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let absent = source(Config { tls: tls("absent.crt"), ..plain });
    let error = absent.install("a").await.expect_err("there is no such file");
    assert!(matches!(&error, Error::Configuration { field: "tls.authority", .. }), "{error}");
}

async fn the_store_is_encrypted_and_the_server_verified(right: Config, wrong: Config, admin: &Client) {
    let settings =
        || store::Settings { patience: "100ms".parse().expect("a duration"), ..store::Settings::default() };
    let store = PostgresStore::open(right, settings()).await.expect("it is trusted");
    let batch = Batch::to_stream("s", [Event::new("/test", "e").build()]);
    store.append(batch, Condition::Any, Durability::Accepted).await.expect("appended");
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.len(), 1);
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'steadfast'";
    let encrypted: bool = admin.query_one(sql, &[]).await.expect("it answers").get(0);
    assert!(encrypted, "its connections are encrypted");
    let refused = PostgresStore::open(wrong, settings()).await.map(drop).expect_err("another authority");
    assert!(refused.to_string().contains("connecting to PostgreSQL"), "{refused}");
}
