use steadfast_backends::Secret;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::changes::{Changes, Settings};
use steadfast_core::transport::Error;
use steadfast_servers::Postgres;

use super::support::{Database, config, hold_server};

async fn refusal(config: &Config, settings: Settings) -> Error {
    let changes = Changes::new(config.clone(), settings).expect("it is right");
    changes.install("a").await.expect_err("it is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_logical_replication_it_says_how_to_turn_it_on() {
    let _shared = hold_server().await;
    let server = tokio::task::spawn_blocking(|| Postgres::start_with(&[("wal_level", "replica")]));
    let server = server.await.expect("it does not panic").expect("it starts");
    let settings = Settings { tables: vec!["t".into()], ..Settings::default() };
    let error = refusal(&config(&server, "postgres"), settings).await;
    assert!(matches!(&error, Error::Configuration { field: "wal_level", .. }), "{error}");
    assert!(error.to_string().contains("set `wal_level = logical` in postgresql.conf"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_rights_is_told_with_its_mend() {
    let database = Database::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let role = format!("clerk_{}", database.config.database);
    database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'clerk-secret'")).await;
    let config =
        Config { user: role.clone(), password: Some(Secret::new("clerk-secret")), ..database.config.clone() };
    let error = refusal(&config, database.settings(&["t"])).await;
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(error.to_string().contains(&format!("ALTER ROLE \"{role}\" REPLICATION")), "{error}");

    database.run(&format!("ALTER ROLE {role} REPLICATION")).await;
    let error = refusal(&config, database.settings(&["t"])).await;
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(error.to_string().contains("have `CREATE PUBLICATION"), "{error}");

    // With what an administrator has made, that role needs no more.
    database.run("CREATE PUBLICATION steadfast FOR TABLE t").await;
    let changes = Changes::new(config.clone(), database.settings(&["t"])).expect("it is right");
    changes.install("a").await.expect("a slot is what it may make");

    let wrong = Config { password: Some(Secret::new("wrong-secret")), ..config };
    let error = refusal(&wrong, database.settings(&["t"])).await;
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(!format!("{error} {wrong:?}").contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let database = Database::new("CREATE TABLE keyless (id int); CREATE TABLE t (id int PRIMARY KEY)").await;
    let absent = refusal(&database.config, database.settings(&["absent"])).await.to_string();
    assert!(absent.contains("no table `absent`"), "{absent}");
    let keyless = refusal(&database.config, database.settings(&["keyless"])).await.to_string();
    assert!(keyless.contains("no primary key") && keyless.contains("`fullBefore`"), "{keyless}");
    database.run("UPDATE keyless SET id = 1").await;

    let settings = Settings { create: false, ..database.settings(&["t"]) };
    let publication = refusal(&database.config, settings.clone()).await.to_string();
    assert!(
        publication.contains("run `CREATE PUBLICATION \"steadfast\" FOR TABLE public.t "),
        "{publication}"
    );
    database.run("CREATE PUBLICATION steadfast FOR TABLE t").await;
    let slot = refusal(&database.config, settings.clone()).await.to_string();
    assert!(slot.contains("pg_create_logical_replication_slot"), "{slot}");

    let nowhere = Config { port: 1, ..database.config.clone() };
    assert!(matches!(refusal(&nowhere, settings).await, Error::Unavailable { .. }));
}
