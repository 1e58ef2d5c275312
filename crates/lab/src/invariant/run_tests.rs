use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::super::Acknowledgement;
use super::*;

/// Answers each path with its answers in turn, the last one for ever; what it does not know, with 404.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

type Answers = Vec<(&'static str, Vec<(u16, String)>)>;

async fn serve(answers: Answers) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut queues: Vec<(&str, VecDeque<(u16, String)>)> = Vec::new();
    for (path, list) in answers {
        queues.push((path, list.into()));
    }
    let (queues, noted) = (Arc::new(Mutex::new(queues)), asked.clone());
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (queues, noted) = (queues.clone(), noted.clone());
            let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
                noted.lock().expect("is not poisoned").push(path.clone());
                let mut queues = queues.lock().expect("is not poisoned");
                let known = queues.iter_mut().find(|(known, _)| *known == path);
                let (status, body) = match known.map(|(_, queue)| queue) {
                    Some(queue) if queue.len() > 1 => queue.pop_front().expect("has several"),
                    Some(queue) => queue[0].clone(),
                    None => (404, "{}".to_owned()),
                };
                let response = http::Response::builder().status(status).body(Full::new(Bytes::from(body)));
                async move { Ok::<_, Infallible>(response.expect("is a response")) }
            });
            connections.spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    Server { url, asked, _serving: AbortOnDropHandle::new(serving) }
}

async fn checked(server: &Server, yaml: &str, commands: &[SentCommand]) -> InvariantResult {
    let invariant: Invariant = serde_saphyr::from_str(yaml).expect(yaml);
    let client = Client::new(Duration::from_secs(5), 1 << 20);
    let lookup = |name: &str| (name == "web.url").then(|| server.url.clone());
    check(&invariant, commands, &client, &lookup).await
}

fn sent(id: &str, key: Option<&str>) -> SentCommand {
    SentCommand {
        step: "create".into(),
        command_id: id.to_owned(),
        key: key.map(str::to_owned),
        acknowledgement: if key.is_some() { Acknowledgement::Acknowledged } else { Acknowledgement::Unknown },
        sent_at: Duration::ZERO,
        finished_at: Duration::from_millis(1),
    }
}

const LOG: &str = r#"
acknowledgedCommands:
  step: create
  key: $.id
  within: 300ms
  log: {http: "${web.url}/events?after=${cursor}&limit=2", items: $.events, next: $.next, key: $.subject,
        command: $.commandId, kind: $.type, revision: $.revision, answers: created}
"#;

fn page(entries: &[(&str, &str, &str, u64)], next: &str) -> (u16, String) {
    let events: Vec<_> = entries
        .iter()
        .map(|(key, id, kind, rev)| json!({"subject": key, "commandId": id, "type": kind, "revision": rev}))
        .collect();
    (200, json!({"events": events, "next": next}).to_string())
}

fn pages() -> Answers {
    vec![
        (
            "/events?after=&limit=2",
            vec![page(&[("a", "c1", "created", 0), ("b", "c2", "created", 0)], "p/2")],
        ),
        ("/events?after=p%2F2&limit=2", vec![page(&[("a", "x", "shipped", 1)], "p3")]),
        ("/events?after=p3&limit=2", vec![page(&[], "p3")]),
    ]
}

#[tokio::test]
async fn the_whole_log_is_read_page_by_page() {
    let server = serve(pages()).await;
    let commands = [sent("c1", Some("a")), sent("c2", Some("b")), sent("c3", None)];
    let result = checked(&server, LOG, &commands).await;
    assert_eq!(result.holds, Some(true), "{result:?}");
    let figures: Vec<_> = result.figures.iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
    let expected = [
        ("acknowledged", 2.0),
        ("refused", 0.0),
        ("unknown", 1.0),
        ("entries", 3.0),
        ("answering entries", 2.0),
    ];
    assert_eq!(figures, expected);
    assert_eq!(server.asked.lock().expect("is not poisoned").len(), 3);
}

#[tokio::test]
async fn what_comes_late_is_waited_for_and_what_is_lost_is_not_for_ever() {
    let mut answers = pages();
    answers[0].1.insert(0, page(&[], ""));
    let server = serve(answers).await;
    let late = checked(&server, LOG, &[sent("c1", Some("a")), sent("c2", Some("b"))]).await;
    assert_eq!(late.holds, Some(true), "{late:?}");
    let lost =
        checked(&server, LOG, &[sent("c1", Some("a")), sent("c2", Some("b")), sent("c9", Some("z"))]).await;
    assert_eq!((lost.holds, lost.violations_total), (Some(false), 1), "{lost:?}");
}

#[tokio::test]
async fn data_that_cannot_be_read_says_nothing() {
    let server = serve(vec![("/events?after=&limit=2", vec![(500, String::new())])]).await;
    let result = checked(&server, LOG, &[sent("c1", Some("a"))]).await;
    assert_eq!(result.holds, None);
    assert!(result.summary.contains("status 500"), "{}", result.summary);

    let server = serve(vec![("/events?after=&limit=2", vec![(200, r#"{"events": 1}"#.to_owned())])]).await;
    let result = checked(&server, LOG, &[sent("c1", Some("a"))]).await;
    assert_eq!(result.holds, None);
    assert!(result.summary.contains("there is no list at `$.events`"), "{}", result.summary);
}

#[tokio::test]
async fn a_cursor_that_stands_still_is_an_error_and_no_loop() {
    let again = page(&[("a", "c1", "created", 0)], "1");
    let server = serve(vec![
        ("/events?after=&limit=2", vec![again.clone()]),
        ("/events?after=1&limit=2", vec![again]),
    ])
    .await;
    let result = checked(&server, LOG, &[sent("c1", Some("a"))]).await;
    assert_eq!(result.holds, None);
    assert!(result.summary.contains("the next cursor is again `1`"), "{}", result.summary);
}

#[tokio::test]
async fn histories_are_read_for_each_key() {
    let yaml = r#"
acknowledgedCommands: {step: create, key: $.id, within: 100ms,
    history: {http: "${web.url}/things/${key}/events", sequence: "$[*].revision"}}
"#;
    let server = serve(vec![
        ("/things/a/events", vec![(200, r#"[{"revision": 0}, {"revision": 1}]"#.to_owned())]),
        ("/things/b/events", vec![(200, r#"[{"revision": 0}, {"revision": 2}]"#.to_owned())]),
    ])
    .await;
    let commands = [sent("c1", Some("a")), sent("c2", Some("b")), sent("c3", Some("lost"))];
    let result = checked(&server, yaml, &commands).await;
    assert_eq!((result.holds, result.violations_total), (Some(false), 2), "{result:?}");
    assert!(result.violations[0].contains("key lost"), "{result:?}");
    assert!(result.violations[1].contains("key b has revision 2 where 1 was expected"), "{result:?}");
}

const AGREEMENT: &str = r#"
agreement: {name: money, within: 300ms, values: [{http: "${web.url}/one", value: $.m}, {http: "${web.url}/two", value: $.m}]}
"#;

#[tokio::test]
async fn places_that_agree_in_the_end_agree() {
    let one = (200, r#"{"m": {"a": 1, "b": 2}}"#.to_owned());
    let two = vec![(503, String::new()), (200, r#"{"m": {"a": 1}}"#.to_owned()), one.clone()];
    let server = serve(vec![("/one", vec![one]), ("/two", two)]).await;
    let result = checked(&server, &AGREEMENT.replace("300ms", "20s"), &[]).await;
    assert_eq!((result.holds, result.checked), (Some(true), 2), "{result:?}");
}

#[tokio::test]
async fn places_that_do_not_agree_are_told_with_both_values() {
    let server = serve(vec![
        ("/one", vec![(200, r#"{"m": {"a": 1, "b": 2}}"#.to_owned())]),
        ("/two", vec![(200, r#"{"m": {"a": 1, "b": 3}}"#.to_owned())]),
    ])
    .await;
    let result = checked(&server, AGREEMENT, &[]).await;
    assert_eq!((result.holds, result.violations_total), (Some(false), 1));
    assert_eq!(result.violations, ["at b: ${web.url}/one $.m says 2, ${web.url}/two $.m says 3"]);
}

#[tokio::test]
async fn places_that_say_nothing_do_not_agree() {
    for nothing in ["{}", "null", "[]", r#"{"eur": {}}"#] {
        let answer = || vec![(200, format!(r#"{{"m": {nothing}}}"#))];
        let server = serve(vec![("/one", answer()), ("/two", answer())]).await;
        let result = checked(&server, AGREEMENT, &[]).await;
        assert_eq!((result.holds, result.checked), (None, 0), "{nothing}: {result:?}");
    }
}
