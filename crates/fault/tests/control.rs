//! The control endpoint: its socket, its protocol, and what it makes of bad input.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use steadfast_base::units::{HumanDuration, Percentage};
use steadfast_base::{Class, Classify};
use steadfast_fault::control::{CONNECTIONS_MAX, Client, ClientError, Code, LINE_MAX, Request, Response};
use steadfast_fault::{Error, Fault, GrpcFault, HttpFault, Injector, LeaseId, LeaseState, RuntimeFault};
use tokio::runtime::Runtime;

const MINUTE: Duration = Duration::from_secs(60);

struct Target {
    // Dropped in this order.
    injector: Injector,
    _runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Target {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = runtime();
        let injector = listen(&runtime, &folder.path().join("fault.sock")).expect("an injector");
        Self { injector, _runtime: runtime, folder }
    }

    fn client(&self) -> Client {
        Client::new(self.folder.path().join("fault.sock"))
    }

    fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.client().path()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        Connection(BufReader::new(stream))
    }
}

struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Sends a line and returns the answer; nothing when the connection was closed.
    fn ask(&mut self, line: &[u8]) -> Option<Value> {
        let mut stream = self.0.get_ref();
        stream.write_all(line).and_then(|()| stream.write_all(b"\n")).ok()?;
        self.read()
    }

    fn read(&mut self) -> Option<Value> {
        let mut answer = String::new();
        self.0.read_line(&mut answer).ok().filter(|length| *length > 0)?;
        Some(serde_json::from_str(&answer).expect("an answer in JSON"))
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

fn listen(runtime: &Runtime, path: &Path) -> Result<Injector, Error> {
    runtime.block_on(async { Injector::listen(path) })
}

fn id(text: &str) -> LeaseId {
    text.parse().expect("an id")
}

fn refuse() -> Fault {
    Fault::Http(HttpFault { status: Some(503), ..HttpFault::default() })
}

fn code(result: Result<impl std::fmt::Debug, ClientError>) -> Code {
    match result {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_lease_is_injected_renewed_listed_and_revoked() {
    let target = Target::start();
    let client = target.client();
    let hello = client.hello().expect("hello");
    assert_eq!((hello.version, hello.pid, hello.workers), (1, std::process::id(), 1));
    assert_eq!(hello.kinds, Fault::KINDS);

    let lease = client.inject(&id("a"), &refuse(), Duration::from_secs(3), None).expect("a lease");
    assert_eq!((lease.state, &lease.fault), (LeaseState::Active, &refuse()));
    assert!((2000..=3000).contains(&lease.expires_in_ms), "{lease:?}");
    assert!(client.renew(&id("a"), MINUTE).expect("a lease").expires_in_ms > 50_000);
    assert_eq!(client.list().expect("leases").len(), 1);
    let revoked = client.revoke(&id("a")).expect("a lease");
    assert_eq!((revoked.state, revoked.expires_in_ms), (LeaseState::Revoked, 0));
    // The answer may have been lost, so asking again gives the same.
    assert_eq!(client.revoke(&id("a")).expect("a lease"), revoked);
    assert_eq!(code(client.renew(&id("a"), MINUTE)), Code::Ended);
    assert_eq!(code(client.renew(&id("b"), MINUTE)), Code::Unknown);
    assert_eq!(code(client.inject(&id("c"), &refuse(), Duration::ZERO, None)), Code::Invalid);
    let nothing = Fault::Http(HttpFault::default());
    assert_eq!(code(client.inject(&id("c"), &nothing, MINUTE, None)), Code::Invalid);
    assert_eq!(target.injector.leases().len(), 1);
}

#[test]
fn a_lease_that_nobody_renews_expires() {
    let target = Target::start();
    let client = target.client();
    client.inject(&id("a"), &refuse(), Duration::from_millis(30), None).expect("a lease");
    let patience = Instant::now() + Duration::from_secs(5);
    while client.list().expect("leases")[0].state != LeaseState::Expired {
        assert!(Instant::now() < patience);
    }
    assert_eq!(client.list().expect("leases")[0].held_ms, 30);
    assert_eq!(code(client.inject(&id("a"), &refuse(), MINUTE, None)), Code::Ended);
}

#[test]
fn only_the_owner_may_connect_and_the_socket_goes_with_the_injector() {
    let target = Target::start();
    let path = target.client().path().to_owned();
    let mode = path.metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let client = target.client();
    drop(target.injector);
    assert!(!path.exists());
    let error = client.hello().expect_err("nobody listens");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert_eq!(error.classify(), Class::Transient);
}

#[test]
fn a_dead_socket_is_replaced_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = runtime();
    let path = folder.path().join("fault.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    let first = listen(&runtime, &path).expect("a dead socket is replaced");
    assert!(matches!(listen(&runtime, &path), Err(Error::InUse(_))));
    assert!(Client::new(&path).hello().is_ok(), "the first still listens");
    // A successor's socket is not removed by the first one's end.
    std::fs::remove_file(&path).expect("removed");
    let second = listen(&runtime, &path).expect("a second one");
    drop(first);
    assert!(Client::new(&path).hello().is_ok(), "the second listens");
    drop(second);

    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("a file");
    assert!(matches!(listen(&runtime, &file), Err(Error::NotASocket(_))));
    assert_eq!(std::fs::read(&file).expect("a file"), b"precious");
    assert!(matches!(listen(&runtime, &folder.path().join("x".repeat(120))), Err(Error::PathTooLong(_))));
    assert!(matches!(listen(&runtime, &folder.path().join("none/fault.sock")), Err(Error::Io { .. })));
    assert!(matches!(Injector::listen(&path), Err(Error::NoRuntime)));
}

#[test]
fn of_two_that_replace_a_dead_socket_at_the_same_time_one_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fault.sock");
    for _ in 0..200 {
        drop(UnixListener::bind(&path).expect("a socket"));
        let barrier = Arc::new(Barrier::new(2));
        let start = || {
            let (path, barrier) = (path.clone(), barrier.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                barrier.wait();
                listen(&runtime, &path)
            })
        };
        let started = [start(), start()].map(|thread| thread.join().expect("no panic"));
        assert_eq!(started.iter().filter(|result| result.is_ok()).count(), 1, "{started:?}");
        assert!(Client::new(&path).hello().is_ok());
    }
}

#[test]
fn bad_input_is_answered_and_the_connection_goes_on() {
    let target = Target::start();
    let mut connection = target.connect();
    for line in [
        &b"{"[..],
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"{\"op\":\"explode\"}",
        b"{\"op\":\"hello\",\"extra\":1}",
        b"{\"op\":\"list\",\"op\":\"list\"}",
        b"{\"op\":\"renew\",\"id\":\"two words\",\"ttlMs\":1}",
        b"{\"op\":\"renew\",\"id\":\"a\",\"ttlMs\":-1}",
        b"{\"op\":\"renew\",\"id\":\"a\"}",
        b"{\"op\":\"inject\",\"id\":\"a\",\"ttlMs\":9,\"fault\":{\"http\":{\"status\":503,\"statsu\":1}}}",
        b"{\"op\":\"inject\",\"id\":\"a\",\"ttlMs\":9,\"fault\":{\"http\":{\"delay\":\"5\"}}}",
        b"{\"op\":\"inject\",\"id\":\"a\",\"ttlMs\":9,\"fault\":{\"grpc\":{\"status\":\"OOPS\"}}}",
        b"{\"op\":\"inject\",\"id\":\"a\",\"ttlMs\":9,\"fault\":{\"disk\":{}}}",
        &[b'['; 20_000],
    ] {
        let answer = connection.ask(line).expect("an answer");
        assert_eq!(answer["ok"], json!(false), "{answer}");
        assert_eq!(answer["error"]["code"], json!("malformed"), "{answer}");
    }
    assert_eq!(connection.ask(b"{\"op\":\"list\"}"), Some(json!({"ok": true, "leases": []})));
    // An empty line is no request.
    assert_eq!(connection.ask(b"\n{\"op\":\"hello\"}").expect("an answer")["ok"], json!(true));
}

#[test]
fn too_long_a_line_ends_the_connection_and_no_more() {
    let target = Target::start();
    let mut connection = target.connect();
    let fits = [b"{\"op\":\"list\"".to_vec(), vec![b' '; LINE_MAX - 13], b"}".to_vec()].concat();
    assert_eq!(connection.ask(&fits).expect("an answer")["ok"], json!(true));
    let answer = connection.ask(&vec![b'x'; LINE_MAX + 1]).expect("an answer");
    assert_eq!(answer["error"]["code"], json!("tooLong"));
    assert_eq!(connection.ask(b"{\"op\":\"list\"}"), None);
    assert!(target.client().hello().is_ok());
}

#[test]
fn connections_are_bounded() {
    let target = Target::start();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut connection = target.connect();
        assert!(connection.ask(b"{\"op\":\"hello\"}").is_some());
        open.push(connection);
    }
    assert_eq!(target.connect().read().expect("an answer")["error"]["code"], json!("busy"));
    let error = target.client().hello().expect_err("busy");
    assert_eq!(error.classify(), Class::Transient, "{error}");
    drop(open);
    let patience = Instant::now() + Duration::from_secs(5);
    while target.client().hello().is_err() {
        assert!(Instant::now() < patience, "connections are not given back");
    }
}

#[test]
fn a_client_gives_up_on_a_target_that_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fault.sock");
    let _silent = UnixListener::bind(&path).expect("a socket");
    let client = Client::new(&path).with_timeout(Duration::from_millis(50));
    let asked = Instant::now();
    assert!(matches!(client.hello(), Err(ClientError::TimedOut(_))));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

fn duration() -> impl Strategy<Value = Option<HumanDuration>> {
    proptest::option::of((0..4_000_000_000_u64).prop_map(|nanos| HumanDuration(Duration::from_nanos(nanos))))
}

fn percent() -> impl Strategy<Value = Percentage> {
    (0..=1000_u32).prop_map(|tenths| Percentage::from_ratio(f64::from(tenths) / 1000.0))
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let status = proptest::option::of(prop_oneof![Just("UNAVAILABLE"), Just("ABORTED")])
        .prop_map(|name| name.map(|name| name.parse().expect("a status")));
    let text = || proptest::option::of(any::<String>());
    prop_oneof![
        (duration(), duration(), any::<Option<u16>>(), percent(), text(), text()).prop_map(
            |(delay, jitter, status, percent, method, path)| {
                Fault::Http(HttpFault { delay, jitter, status, percent, method, path })
            }
        ),
        (duration(), duration(), status, percent(), text()).prop_map(
            |(delay, jitter, status, percent, method)| {
                Fault::Grpc(GrpcFault { delay, jitter, status, percent, method })
            }
        ),
        (duration(), duration()).prop_map(|(stall, every)| {
            Fault::Runtime(RuntimeFault {
                stall: stall.unwrap_or_default(),
                every: every.unwrap_or_default(),
            })
        }),
    ]
}

fn any_request() -> impl Strategy<Value = Request> {
    let id = || "[A-Za-z0-9._:/-]{1,128}".prop_map(|text| text.parse().expect("an id"));
    prop_oneof![
        Just(Request::Hello {}),
        Just(Request::List {}),
        (id(), any::<u64>(), any_fault(), any::<Option<u64>>())
            .prop_map(|(id, ttl_ms, fault, seed)| Request::Inject { id, ttl_ms, fault, seed }),
        (id(), any::<u64>()).prop_map(|(id, ttl_ms)| Request::Renew { id, ttl_ms }),
        id().prop_map(|id| Request::Revoke { id }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_request_is_read_as_it_was_written(request in any_request()) {
        let line = serde_json::to_vec(&request).expect("JSON");
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(serde_json::from_slice::<Request>(&line).expect("a request"), request);
    }

    #[test]
    fn no_line_breaks_the_endpoint(request in any_request(), cut in any::<prop::sample::Index>(), byte: u8) {
        let mut line = serde_json::to_vec(&request).expect("JSON");
        let at = cut.index(line.len());
        line[at] = if byte == b'\n' { b' ' } else { byte };
        TARGET.with(|target| {
            let mut connection = target.connect();
            // A line of nothing but blanks is no request, and a line of one byte is not valid.
            let answer = connection.ask(&line).expect("an answer");
            serde_json::from_value::<Response>(answer).expect("a response");
            for lease in target.injector.leases() {
                let _ended = target.injector.revoke(&lease.id);
            }
        });
    }
}

thread_local! {
    static TARGET: Target = Target::start();
}
