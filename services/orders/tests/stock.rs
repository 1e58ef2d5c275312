//! What is free is asked of inventory, and what it said last stands in while it is away: for whoever asks, and for nobody
//! who reserves.

mod common;

use common::{Shop, eventually};
use http::StatusCode;

const ARTICLE: &str = "/stock/SKU2006-001";
const AWAY: &str = r#"{"grpc": {"status": "UNAVAILABLE", "percent": "100%"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_answer_is_for_those_who_ask_and_not_for_those_who_reserve() {
    let shop = Shop::open_with(&[], &["--stock", "100"]).await;
    let answer = shop.get(ARTICLE).await;
    assert_eq!(
        (answer.status, &answer.body["free"], &answer.body["fresh"]),
        (StatusCode::OK, &100.into(), &true.into())
    );
    assert_eq!(answer.age, None);
    let id = shop.created("k1").await;
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    let free = shop.get(ARTICLE).await.body["free"].clone();
    assert!(free.as_u64().is_some_and(|free| free < 100), "{free}");

    shop.inventory.inject("away", AWAY);
    let stands_in = shop.get(ARTICLE).await;
    assert_eq!(
        (stands_in.status, &stands_in.body["free"], &stands_in.body["fresh"]),
        (StatusCode::OK, &free, &false.into())
    );
    assert!(stands_in.age.is_some_and(|age| age.parse::<u64>().is_ok()));
    let unknown = shop.get("/stock/never-asked-for").await;
    assert!(matches!(unknown.status.as_u16(), 502 | 503), "{unknown:?}");
    assert_eq!(unknown.content_type, "application/problem+json");
    let id = shop.created("k2").await;
    let refused = shop.command(&id, "confirm", "c2").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{refused:?}");
    assert_eq!(shop.state(&id).await, "created");

    assert!(shop.inventory.revoke("away") > 0);
    eventually("inventory answers", async || shop.get(ARTICLE).await.body["fresh"] == true).await;
    eventually("nothing is held", async || shop.get(ARTICLE).await.body["free"] == free).await;
    assert_eq!(shop.get("/stock/%20").await.status, StatusCode::BAD_REQUEST);
    shop.agreed().await;
}
