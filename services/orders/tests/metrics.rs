//! What payment and inventory show of their logs to whoever scrapes them.

mod common;

use common::{Program, Shop, eventually};
use http::{Method, StatusCode};

async fn scrape(shop: &Shop, program: &Program) -> String {
    let answer = shop.client.send(Method::GET, &format!("{}/metrics", program.url()), &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.text
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_and_repositories_are_shown() {
    let shop = Shop::open().await;
    let id = shop.created("k1").await;
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    shop.agreed().await;
    for (program, prefix, view, repository) in [
        (&shop.payment, "payment", "charged", "charges"),
        (&shop.inventory, "inventory", "levels", "reservations"),
    ] {
        let text = scrape(&shop, program).await;
        for line in [
            format!("{prefix}_projection_events_total{{projection=\"{view}\",outcome=\"applied\"}} 1"),
            format!("{prefix}_projection_events_total{{projection=\"{view}\",outcome=\"skipped\"}} 0"),
            format!(
                "{prefix}_repository_commands_total{{repository=\"{repository}\",outcome=\"executed\"}} 1"
            ),
            format!("{prefix}_repository_cached{{repository=\"{repository}\"}} 1"),
        ] {
            assert!(has(&text, &line), "{line} is not in\n{text}");
        }
        eventually("the view has caught up, and says so", async || {
            let text = scrape(&shop, program).await;
            has(&text, &format!("{prefix}_projection_caught_up{{projection=\"{view}\"}} 1"))
                && has(&text, &format!("{prefix}_projection_lag_seconds{{projection=\"{view}\"}} 0.0"))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_of_orders_is_shown_by_their_states() {
    let shop = Shop::open().await;
    let id = shop.created("k1").await;
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    // A repetition is known by its key and asks nothing of the order.
    assert_eq!(shop.command(&id, "confirm", "c1").await.status, StatusCode::OK);
    for key in ["c2", "c3"] {
        assert_eq!(shop.command(&id, "cancel", key).await.status, StatusCode::CONFLICT);
    }
    let text = scrape(&shop, &shop.orders).await;
    for (state, command, outcome, times) in
        [("created", "confirm", "allowed", 1), ("confirmed", "cancel", "refused", 2)]
    {
        let line = format!(
            "orders_machine_commands_total{{machine=\"order\",state=\"{state}\",command=\"{command}\",outcome=\"{outcome}\"}} {times}"
        );
        assert!(
            has(&text, &line),
            "{line} is not in
{text}"
        );
    }
}
