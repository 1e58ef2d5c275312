//! Death between any two steps: what was acknowledged is there, and nothing is done twice.

mod common;

use common::{Shop, eventually};
use http::StatusCode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_is_finished_after_a_crash_between_its_steps() {
    let mut shop = Shop::open().await;
    let id = shop.created("k1").await;

    // Reserved, but the charge hangs.
    shop.payment.inject("hang", r#"{"grpc": {"delay": "20s", "percent": "100%", "method": "Charge"}}"#);
    let later = shop.command_within(&id, "confirm", "c1", Some("300")).await;
    assert_eq!(later.status, StatusCode::ACCEPTED);
    shop.orders.kill();
    shop.payment.revoke("hang");
    shop.orders.restart();
    shop.ready().await;
    eventually("it is confirmed", async || shop.state(&id).await == "confirmed").await;
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    assert_eq!(shop.agreed().await[&id], "404.95 USD", "charged once");

    // Charged, but the answer is lost; killed at many moments of a confirmation.
    for n in 0..6_u64 {
        let id = shop.created(&format!("k-{n}")).await;
        let key = format!("c-{n}");
        tokio::select! {
            _ = shop.command(&id, "confirm", &key) => {}
            () = tokio::time::sleep(std::time::Duration::from_millis(n * 3)) => {}
        }
        shop.orders.kill();
        shop.orders.restart();
        shop.ready().await;
        assert_eq!(shop.command(&id, "confirm", &key).await.status, StatusCode::OK);
    }
    assert_eq!(shop.agreed().await.as_object().expect("an object").len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_taken_back_after_a_crash() {
    let mut shop = Shop::open().await;
    let id = shop.created("k1").await;
    // Payment cannot be charged nor voided, so the stock cannot be released yet.
    shop.payment.inject("all", r#"{"grpc": {"status": "UNAVAILABLE", "percent": "100%"}}"#);
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::BAD_GATEWAY);
    shop.orders.kill();
    shop.payment.revoke("all");
    shop.orders.restart();
    shop.ready().await;
    assert!(
        shop.agreed().await.as_object().expect("an object").is_empty(),
        "nothing stays charged or reserved"
    );
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::BAD_GATEWAY, "the first answer");
    assert_eq!(shop.state(&id).await, "created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_defects_are_seen() {
    // Acknowledged before append: what was acknowledged dies with the process.
    let mut shop = Shop::open_with(&["--acknowledge-before-append"], &[]).await;
    let id = shop.created("k1").await;
    shop.orders.kill();
    shop.orders.restart();
    shop.ready().await;
    assert_eq!(shop.get(&format!("/orders/{id}")).await.status, StatusCode::NOT_FOUND);
    let id = shop.created("k1").await;
    assert!(shop.orders.stop().success(), "an orderly stop writes it");
    shop.orders.restart();
    shop.ready().await;
    assert_eq!(shop.state(&id).await, "created");
    drop(shop);

    // No idempotency: a repetition makes a second order.
    let shop = Shop::open_with(&["--no-idempotency"], &[]).await;
    assert_ne!(shop.created("k1").await, shop.created("k1").await);
    drop(shop);

    // No retry: one refusal reaches the caller.
    let shop = Shop::open_with(&["--no-retry"], &[]).await;
    let id = shop.created("k1").await;
    shop.payment
        .inject("all", r#"{"grpc": {"status": "UNAVAILABLE", "percent": "100%", "method": "Charge"}}"#);
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(shop.payment.revoke("all"), 1);
    drop(shop);

    // No deadline: the caller waits past its time.
    let shop = Shop::open_with(&["--no-breaker-no-deadline"], &[]).await;
    let id = shop.created("k1").await;
    shop.payment.inject("late", r#"{"grpc": {"delay": "500ms", "percent": "100%", "method": "Charge"}}"#);
    let begin = std::time::Instant::now();
    assert_eq!(shop.command_within(&id, "confirm", "c1", Some("200")).await.status, StatusCode::OK);
    assert!(begin.elapsed().as_millis() >= 500);
}
