//! What the interface of `orders` promises, asked of the real programs.

mod common;

use std::time::Duration;

use common::{FIXTURE, Shop};
use http::{Method, StatusCode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_transitions_and_bad_input() {
    let mut shop = Shop::open().await;

    // The same key and body: the first answer, whatever has happened since.
    let first = shop.create("k1").await;
    assert_eq!(first.status, StatusCode::CREATED);
    let id = first.body["id"].as_str().expect("an id").to_owned();
    let (a, b) = tokio::join!(shop.create("k2"), shop.create("k2"));
    assert_eq!((a.status, &a.body), (StatusCode::CREATED, &b.body), "one effect of two at once");
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    assert_eq!(shop.command(&id, "ship", "s1").await.status, StatusCode::OK);
    assert_eq!(shop.create("k1").await.body, first.body);

    // All that also after a restart, orderly or not.
    assert!(shop.orders.stop().success());
    shop.orders.restart();
    shop.ready().await;
    let confirmed = shop.command(&id, "confirm", "c1").await;
    assert_eq!((confirmed.status, &confirmed.body["state"]), (StatusCode::OK, &"confirmed".into()));
    shop.orders.kill();
    shop.orders.restart();
    shop.ready().await;
    assert_eq!(shop.create("k1").await.body, first.body);

    // Another body, or another path, under a known key.
    let url = format!("{}/orders", shop.orders.url());
    let send = async |headers: &[(&str, &str)], body: &str| {
        shop.client.send(Method::POST, &url, headers, body).await
    };
    let json = ("content-type", "application/json");
    let other = FIXTURE.replacen("404.95", "404.96", 9);
    assert_eq!(send(&[json, ("idempotency-key", "k1")], &other).await.status, 422);
    assert_eq!(shop.command(&id, "return", "k1").await.status, 422);

    // What is not allowed is refused as a problem document.
    let refused = shop.command(&id, "cancel", "x1").await;
    assert_eq!((refused.status, &*refused.content_type), (StatusCode::CONFLICT, "application/problem+json"));
    assert_eq!(refused.body["state"], "shipped");
    assert_eq!(shop.command(&id, "return", "r1").await.body["state"], "returned");
    assert_eq!(shop.command("00000000-0000-0000-0000-000000000000", "ship", "x2").await.status, 404);
    assert_eq!(shop.command("..%2fx", "ship", "x3").await.status, 404);

    // Bad input, each with its own status.
    assert_eq!(send(&[json], FIXTURE).await.status, 400, "no key");
    assert_eq!(send(&[json, ("idempotency-key", " ")], FIXTURE).await.status, 400, "a blank key");
    assert_eq!(send(&[json, ("idempotency-key", &"k".repeat(256))], FIXTURE).await.status, 400, "a long key");
    assert_eq!(send(&[("idempotency-key", "y1")], FIXTURE).await.status, 415);
    assert_eq!(send(&[("content-type", "text/xml"), ("idempotency-key", "y1")], FIXTURE).await.status, 415);
    assert_eq!(send(&[json, ("idempotency-key", "y1")], "{").await.status, 400);
    let missing = send(&[json, ("idempotency-key", "y1")], &FIXTURE.replace("\"sku\"", "\"xku\"")).await;
    assert_eq!((missing.status.as_u16(), &missing.body["field"]), (422, &"line_items[0].sku".into()));
    assert_eq!(send(&[json, ("idempotency-key", "y1")], &" ".repeat(300 * 1024)).await.status, 413);
    assert_eq!(
        send(&[json, ("idempotency-key", "y1")], FIXTURE).await.status,
        201,
        "none of it took the key"
    );
    assert_eq!(shop.get("/orders?x").await.status, 405);
    assert_eq!(shop.get("/nowhere").await.status, 404);

    // The log, page by page.
    let (mut cursor, mut seen) = (String::new(), vec![]);
    loop {
        let page = shop.get(&format!("/events?after={cursor}&limit=2")).await.body;
        let events = page["events"].as_array().expect("events").clone();
        if events.is_empty() {
            break;
        }
        assert!(events.len() <= 2);
        seen.extend(events);
        cursor = page["next"].as_str().expect("a cursor").to_owned();
    }
    let of_first: Vec<_> = seen
        .iter()
        .filter(|event| event["subject"] == id.as_str())
        .map(|event| (event["type"].as_str().expect("a type"), event["commandId"].as_str().expect("a key")))
        .collect();
    let expected = [
        ("order.created", "k1"),
        ("order.confirmed", "c1"),
        ("order.shipped", "s1"),
        ("order.returned", "r1"),
    ];
    assert_eq!(of_first, expected);
    assert_eq!(seen.iter().filter(|event| event["commandId"] == "k2").count(), 1);
    let own = shop.get(&format!("/orders/{id}/events")).await.body;
    let revisions: Vec<_> =
        own["events"].as_array().expect("events").iter().map(|e| e["revision"].clone()).collect();
    assert_eq!(revisions, [0, 1, 2, 3]);
    assert_eq!(shop.agreed().await[&id], "404.95 USD");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_away_or_unwell() {
    let mut shop = Shop::open_with(&[], &["--stock", "3"]).await;

    // It fails for some calls: repetitions hide that.
    shop.payment
        .inject("some", r#"{"grpc": {"status": "UNAVAILABLE", "percent": "30%", "method": "Charge"}}"#);
    let id = shop.created("k1").await;
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    shop.payment.revoke("some");

    // It fails for all: taken back, and told so, also when asked again with the same key.
    shop.payment
        .inject("all", r#"{"grpc": {"status": "UNAVAILABLE", "percent": "100%", "method": "Charge"}}"#);
    let id = shop.created("k2").await;
    let failed = shop.command(&id, "confirm", "c2").await;
    assert_eq!((failed.status, &*failed.content_type), (StatusCode::BAD_GATEWAY, "application/problem+json"));
    assert_eq!(shop.payment.revoke("all"), 6, "as many attempts as the policy has");
    assert_eq!(shop.state(&id).await, "created");
    shop.agreed().await;
    assert_eq!(shop.command(&id, "confirm", "c2").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(shop.command(&id, "confirm", "c3").await.status, StatusCode::OK, "a new key tries anew");

    // Too late for the caller: told so in time, and done in the background.
    shop.payment.inject("late", r#"{"grpc": {"delay": "500ms", "percent": "100%", "method": "Charge"}}"#);
    let id = shop.created("k4").await;
    let begin = std::time::Instant::now();
    let later = shop.command_within(&id, "confirm", "c4", Some("400")).await;
    // Sooner than payment, which takes half a second.
    assert!(begin.elapsed() < Duration::from_millis(480), "{:?}", begin.elapsed());
    assert_eq!(later.status, StatusCode::ACCEPTED);
    let (again, other) = tokio::join!(
        shop.command_within(&id, "confirm", "c4", Some("3000")),
        shop.command_within(&id, "confirm", "c5", Some("3000"))
    );
    assert_eq!((again.status, &again.body["state"]), (StatusCode::OK, &"confirmed".into()));
    assert_eq!(other.status, StatusCode::CONFLICT);
    let none = shop.command_within(&id, "ship", "s4", Some("1")).await;
    assert_eq!(none.status, StatusCode::GATEWAY_TIMEOUT, "nothing is begun without time");
    shop.payment.revoke("late");
    assert_eq!(shop.state(&id).await, "confirmed");

    // Nothing left in stock.
    let id = shop.created("k6").await;
    let refused = shop.command(&id, "confirm", "c6").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert!(refused.body["detail"].as_str().expect("a detail").contains("too little stock"));
    assert_eq!(shop.agreed().await.as_object().expect("an object").len(), 3);

    // Gone, and back on its log.
    shop.payment.kill();
    assert_eq!(shop.get("/ready").await.status, StatusCode::OK, "orders goes on");
    assert_eq!(shop.create("k7").await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diagnostics_are_there_for_who_has_the_token_and_only_where_there_is_one() {
    const TOKEN: &str = "2f0b6a1c9d4e8f73";
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("it can be written");
    let file = file.to_str().expect("text");
    let (with, without) = (["--diagnostics-token-file", file], []);
    let (client, payment) = (common::Client::new(), common::Program::start("payment", dir.path(), &with));
    let inventory = common::Program::start("inventory", dir.path(), &without);

    let bearer = format!("Bearer {TOKEN}");
    let ask = async |url: String, path: &str, token: &str| {
        client.send(Method::GET, &format!("{url}/diagnostics{path}"), &[("authorization", token)], "").await
    };
    common::eventually("payment is ready", async || {
        let scopes = ask(payment.url(), "/scopes", &bearer).await;
        scopes.status == StatusCode::OK && scopes.body["shown"][0]["name"] == "work"
    })
    .await;
    assert_eq!(ask(payment.url(), "", "Bearer another-token-here").await.status, StatusCode::UNAUTHORIZED);
    let runtime = ask(payment.url(), "/runtime?seconds=0.1", &bearer).await;
    assert_eq!((runtime.status, &runtime.body["workers"]), (StatusCode::OK, &serde_json::json!(2)));
    assert_eq!(ask(inventory.url(), "/scopes", &bearer).await.status, StatusCode::NOT_FOUND);
}
