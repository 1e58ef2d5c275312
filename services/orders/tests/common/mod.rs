//! Real programs in real processes, and a small client.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use steadfast::fault::{Fault, control};

pub const FIXTURE: &str = include_str!("../../fixtures/orders-create.json");

/// One of the three programs; killed when dropped.
pub struct Program {
    name: &'static str,
    dir: PathBuf,
    extra: Vec<String>,
    child: Option<Child>,
}

impl Program {
    pub fn start(name: &'static str, dir: &Path, extra: &[&str]) -> Self {
        let extra = extra.iter().map(|argument| (*argument).to_owned()).collect();
        let mut program = Self { name, dir: dir.to_owned(), extra, child: None };
        program.restart();
        program
    }

    /// Starts it (again) on the same log, and waits until it listens.
    pub fn restart(&mut self) {
        let path = match self.name {
            "orders" => env!("CARGO_BIN_EXE_orders"),
            "payment" => env!("CARGO_BIN_EXE_payment"),
            _ => env!("CARGO_BIN_EXE_inventory"),
        };
        let file = self.dir.join(format!("{}.addr", self.name));
        let _ = std::fs::remove_file(&file);
        let log = self.dir.join(format!("{}.log", self.name));
        let log = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
        let child = Command::new(path)
            .args(["--listen", "127.0.0.1:0", "--addr-file"])
            .arg(&file)
            .arg("--data")
            .arg(self.dir.join(self.name))
            .args(&self.extra)
            .env("STEADFAST_FAULT_SOCKET", self.socket())
            .stderr(Stdio::from(log))
            .spawn()
            .expect("it starts");
        self.child = Some(child);
        until("it listens", || file.exists());
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join(format!("{}.sock", self.name))
    }

    pub fn url(&self) -> String {
        let address = std::fs::read_to_string(self.dir.join(format!("{}.addr", self.name)));
        format!("http://{}", address.expect("an address").trim())
    }

    /// What the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join(format!("{}.log", self.name))).unwrap_or_default()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it is gone");
        }
    }

    /// SIGTERM, and the exit status.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        terminate(self.child());
        self.ended()
    }

    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    /// Waits for its end, and returns the exit status. One that does not end is killed when this is dropped.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        let (child, mut status) = (self.child(), None);
        until("it ends", || {
            status = child.try_wait().expect("it is our child");
            status.is_some()
        });
        self.child = None;
        status.expect("just seen")
    }

    /// Injects a fault for a minute.
    pub fn inject(&self, id: &str, fault: &str) {
        let client = control::Client::new(self.socket());
        let id = id.parse().expect("an id");
        let fault: Fault = serde_json::from_str(fault).expect("a fault");
        client.inject(&id, &fault, Duration::from_secs(60), None).expect("it is injected");
    }

    /// How many calls a fault has changed so far.
    pub fn affected(&self, id: &str) -> u64 {
        let leases = control::Client::new(self.socket()).list().expect("it answers");
        let id = id.parse().expect("an id");
        leases.iter().find(|lease| lease.id == id).expect("it was injected").dose.affected
    }

    pub fn revoke(&self, id: &str) -> u64 {
        let client = control::Client::new(self.socket());
        client.revoke(&id.parse().expect("an id")).expect("it was injected").dose.affected
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.join(format!("{}.log", self.name)));
            eprintln!("--- {}\n{}", self.name, log.unwrap_or_default());
        }
        self.kill();
    }
}

/// All three, on logs of their own.
pub struct Shop {
    // Declared first, so that it goes before those it calls.
    pub orders: Program,
    pub payment: Program,
    pub inventory: Program,
    pub client: Client,
    _dir: tempfile::TempDir,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(&[], &[]).await
    }

    pub async fn open_with(orders: &[&str], inventory: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let payment = Program::start("payment", dir.path(), &[]);
        let inventory = Program::start("inventory", dir.path(), inventory);
        let (payment_url, inventory_url) = (payment.url(), inventory.url());
        let mut arguments = vec!["--payment", &payment_url, "--inventory", &inventory_url];
        arguments.extend(orders);
        let orders = Program::start("orders", dir.path(), &arguments);
        let shop = Self { orders, payment, inventory, client: Client::new(), _dir: dir };
        shop.ready().await;
        shop
    }

    pub async fn ready(&self) {
        let url = format!("{}/ready", self.orders.url());
        eventually("orders is ready", async || {
            matches!(self.client.try_send(Method::GET, &url, &[], "").await, Some(answer) if answer.status == 200)
        })
        .await;
    }

    pub async fn create(&self, key: &str) -> Answer {
        let url = format!("{}/orders", self.orders.url());
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.client.send(Method::POST, &url, &headers, FIXTURE).await
    }

    pub async fn created(&self, key: &str) -> String {
        let answer = self.create(key).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    pub async fn command(&self, id: &str, verb: &str, key: &str) -> Answer {
        self.command_within(id, verb, key, None).await
    }

    pub async fn command_within(&self, id: &str, verb: &str, key: &str, ms: Option<&str>) -> Answer {
        let url = format!("{}/orders/{id}/{verb}", self.orders.url());
        let mut headers = vec![("idempotency-key", key)];
        headers.extend(ms.map(|ms| ("x-envoy-expected-rq-timeout-ms", ms)));
        self.client.send(Method::POST, &url, &headers, "").await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.client.send(Method::GET, &format!("{}{path}", self.orders.url()), &[], "").await
    }

    pub async fn state(&self, id: &str) -> String {
        self.get(&format!("/orders/{id}")).await.body["state"].as_str().expect("a state").to_owned()
    }

    /// Waits until the three logs say the same, and returns what was charged.
    pub async fn agreed(&self) -> Value {
        let mut seen = Value::Null;
        for _ in 0..200 {
            let totals = async |url: String| {
                self.client.send(Method::GET, &format!("{url}/totals"), &[], "").await.body
            };
            let (orders, payment) = (totals(self.orders.url()).await, totals(self.payment.url()).await);
            let inventory = totals(self.inventory.url()).await;
            if orders["charged"] == payment["charged"] && orders["reserved"] == inventory["reserved"] {
                return orders["charged"].clone();
            }
            seen = serde_json::json!([orders, payment, inventory]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the logs do not agree: {seen:#}");
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    /// The body as it is; that of metrics is no JSON.
    pub text: String,
    pub content_type: String,
    /// The header `Age`.
    pub age: Option<String>,
}

pub struct Client(Hyper<HttpConnector, Full<Bytes>>);

impl Client {
    pub fn new() -> Self {
        Self(Hyper::builder(TokioExecutor::new()).build_http())
    }

    pub async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, url, headers, body).await.expect("an answer")
    }

    pub async fn try_send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).expect("a request");
        let response = self.0.request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        Some(Answer {
            status: head.status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            content_type: header("content-type").unwrap_or_default().to_owned(),
            age: header("age").map(str::to_owned),
        })
    }
}

/// SIGTERM.
pub fn terminate(child: &Child) {
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
    assert!(killed.expect("kill runs").success());
}

pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
