//! The guards of the programs are set, and changed while they run.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Shop, eventually};
use http::StatusCode;

fn put(file: &Path, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).expect("a file");
    std::fs::rename(&draft, file).expect("it is in place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_change_while_the_program_runs_and_answers_say_which_one_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guards.json");
    put(&file, "{}");
    let shop = Shop::open_with(&["--guards", file.to_str().expect("UTF-8")], &[]).await;
    let id = shop.created("k1").await;
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);

    put(&file, r#"{"incoming": {"rateLimit": {"rate": "1/h", "burst": 1}}}"#);
    eventually("the quota is used up", async || shop.get("/totals").await.status == 429).await;
    let refused = shop.create("k2").await;
    assert_eq!((refused.status.as_u16(), &*refused.content_type), (429, "application/problem+json"));
    assert_eq!(refused.body["guard"], "rateLimit");

    // What is wrong is refused whole.
    put(&file, r#"{"incoming": {"rateLimit": null, "bulkhed": {}}}"#);
    eventually("the file is refused", async || shop.orders.log().contains("did you mean `bulkhead`?")).await;
    assert_eq!(shop.get("/totals").await.status, 429);

    put(&file, "{}");
    eventually("there is no quota", async || shop.get("/totals").await.status == 200).await;
    assert_eq!(shop.get("/totals").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_sent_fails_at_once_and_is_not_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guards.json");
    put(&file, r#"{"payment": {"bulkhead": {"concurrencyMax": 1, "queueMax": 0}, "retry": null}}"#);
    let shop = Shop::open_with(&["--guards", file.to_str().expect("UTF-8")], &[]).await;
    let (first, second) = (shop.created("k1").await, shop.created("k2").await);
    shop.payment.inject("hang", r#"{"grpc": {"delay": "30s", "percent": "100%", "method": "Charge"}}"#);
    shop.payment.inject("void", r#"{"grpc": {"delay": "30s", "percent": "100%", "method": "Void"}}"#);

    let waits = shop.command_within(&first, "confirm", "c1", Some("20000"));
    let refused = async {
        eventually("the only place is taken", async || shop.payment.affected("hang") == 1).await;
        // Nothing answers before the time is up but orders itself.
        let refused = shop.command_within(&second, "confirm", "c2", Some("20000")).await;
        assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{refused:?}");
        let detail = refused.body["detail"].as_str().expect("a detail");
        assert!(detail.contains("bulkhead full"), "{detail}");
        assert_eq!(shop.command(&second, "confirm", "c2").await.status, StatusCode::BAD_GATEWAY);
        assert_eq!((shop.payment.affected("hang"), shop.payment.affected("void")), (1, 0));
        assert_eq!(shop.payment.revoke("hang"), 1);
    };
    let (waited, ()) = tokio::join!(waits, refused);
    assert_eq!(waited.status, StatusCode::OK, "{waited:?}");
    assert_eq!(shop.command(&second, "confirm", "c3").await.status, StatusCode::OK, "a new key tries anew");
    assert_eq!(shop.agreed().await.as_object().expect("an object").len(), 2);
    assert_eq!(shop.payment.revoke("void"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_once_and_then_refused_is_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guards.json");
    put(
        &file,
        r#"{"payment": {"breaker": {"consecutiveFailures": 1, "openFor": "400ms", "probes": 1},
                        "retry": {"attemptsMax": 2, "retryAfterMax": "5ms"}}}"#,
    );
    let shop = Shop::open_with(&["--guards", file.to_str().expect("UTF-8")], &[]).await;
    let id = shop.created("k1").await;
    shop.payment
        .inject("lost", r#"{"grpc": {"status": "UNAVAILABLE", "percent": "100%", "method": "Charge"}}"#);
    shop.payment.inject("void", r#"{"grpc": {"delay": "1ms", "percent": "100%", "method": "Void"}}"#);
    let refused = shop.command(&id, "confirm", "c1").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{refused:?}");
    let detail = refused.body["detail"].as_str().expect("a detail");
    assert!(detail.contains("circuit breaker open"), "the last attempt was refused: {detail}");
    assert_eq!(shop.payment.revoke("lost"), 1, "one attempt was sent");
    assert!(shop.agreed().await.as_object().expect("an object").is_empty());
    assert_eq!(shop.payment.revoke("void"), 1);
    assert_eq!(shop.command(&id, "confirm", "c2").await.status, StatusCode::OK);
}

#[test]
fn a_guard_that_there_is_not_is_refused_at_the_start() {
    let run = |without: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let output = Command::new(env!("CARGO_BIN_EXE_orders"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--payment",
                "http://127.0.0.1:1",
                "--inventory",
                "http://127.0.0.1:1",
            ])
            .args(["--without", without, "--data"])
            .arg(folder.path())
            .output()
            .expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (succeeded, told) = run("payment.retries");
    assert!(!succeeded && told.contains("no such guard, there are"), "{told}");
    let (succeeded, told) = run("incoming.deadline");
    assert!(!succeeded && told.contains("without a deadline no call is ever expired"), "{told}");
}
