//! An orderly end: SIGTERM under load loses nothing that was accepted, a second signal ends at once.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Client, FIXTURE, Shop, eventually, until};
use http::{Method, StatusCode};

/// How many clients ask at the same time.
const CLIENTS: usize = 16;

/// What the clients of one run heard.
#[derive(Default)]
struct Heard {
    /// The order by the key of each request that was answered.
    acknowledged: BTreeMap<String, String>,
    /// How many requests got no answer.
    unanswered: usize,
}

/// Creates orders until `orders` is gone, and counts those that were acknowledged.
async fn create_all(client: usize, url: String, is_over: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Heard {
    let (http, mut heard) = (Client::new(), Heard::default());
    for n in 0.. {
        let key = format!("client-{client}-{n}");
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        match http.try_send(Method::POST, &format!("{url}/orders"), &headers, FIXTURE).await {
            Some(answer) if answer.status == StatusCode::CREATED => {
                count.fetch_add(1, Ordering::Relaxed);
                heard.acknowledged.insert(key, answer.body["id"].as_str().expect("an id").to_owned());
            }
            Some(answer) => panic!("{answer:?}"),
            None => heard.unanswered += 1,
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_call_that_was_accepted() {
    let mut shop = Shop::open().await;
    let (is_over, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(create_all(client, shop.orders.url(), Arc::clone(&is_over), Arc::clone(&count)))
        })
        .collect();
    eventually("there is load", async || count.load(Ordering::Relaxed) > 200).await;
    // From now on requests take their time, so that the signal finds one of each client under way.
    shop.orders.inject("slow", r#"{"http": {"delay": "300ms", "percent": "100%"}}"#);
    let begun = count.load(Ordering::Relaxed);
    eventually("all are slow", async || count.load(Ordering::Relaxed) > begun + 2 * CLIENTS).await;
    let before = count.load(Ordering::Relaxed);
    let ended = tokio::task::block_in_place(|| shop.orders.stop());
    is_over.store(true, Ordering::Relaxed);
    assert!(ended.success(), "{ended}");
    let after = count.load(Ordering::Relaxed) - before;
    assert!(after >= CLIENTS / 2, "only {after} of {CLIENTS} calls under way were answered");

    let mut heard = Heard::default();
    for client in clients {
        let of_one = client.await.expect("it does not panic");
        heard.acknowledged.extend(of_one.acknowledged);
        heard.unanswered += of_one.unanswered;
    }
    assert!(heard.unanswered > 0, "the clients went on asking");
    shop.orders.restart();
    shop.ready().await;
    for (key, id) in &heard.acknowledged {
        assert_eq!(shop.state(id).await, "created", "{key} was acknowledged");
    }
    // What got no answer was not done: an order whose caller does not know of it would be a lost answer.
    for key in made(&shop).await {
        assert!(heard.acknowledged.contains_key(&key), "{key} was done and not answered");
    }
}

/// Returns the keys of all requests that the log knows of.
async fn made(shop: &Shop) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let page = shop.get(&format!("/events?limit=1000&after={after}")).await.body;
        let events = page["events"].as_array().expect("a list").clone();
        if events.is_empty() {
            return keys;
        }
        keys.extend(events.iter().filter_map(|event| event["commandId"].as_str().map(str::to_owned)));
        after = page["next"].as_str().expect("a cursor").to_owned();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let mut shop = Shop::open().await;
    // A request that never gets whole keeps its connection open.
    let address = shop.orders.url().replace("http://", "");
    let mut half = TcpStream::connect(address).expect("it listens");
    half.write_all(b"POST /orders HTTP/1.1\r\ncontent-length: 9\r\n\r\n{").expect("it is sent");
    // It has been read when a later request was answered.
    assert_eq!(shop.get("/live").await.status, StatusCode::OK);

    let begin = Instant::now();
    common::terminate(shop.orders.child());
    // Nobody can connect once it has heard the first.
    let url = half.peer_addr().expect("it is connected");
    until("it has stopped listening", || TcpStream::connect(url).is_err());
    assert!(shop.orders.child().try_wait().expect("it is our child").is_none(), "it waits for the request");
    common::terminate(shop.orders.child());
    let ended = shop.orders.ended();
    assert_eq!(ended.code(), Some(128 + 15), "{ended}");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}
