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
