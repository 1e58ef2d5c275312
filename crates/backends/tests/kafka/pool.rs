//! Nodes that tests share, for one takes seconds to start: each test has one to itself and gives it back.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use steadfast_backends::kafka::{Config, Create};
use steadfast_servers::Kafka;
use tokio::sync::oneshot;

/// How many nodes run at the same time: each takes 300 MiB.
const NODES_MAX: usize = 2;

/// A node that a test has to itself.
pub(crate) struct Borrowed {
    /// Empty only while it is given back.
    node: Option<Node>,
}

/// A node, kept by a thread of its own: the kernel ends a server with the thread that started it.
struct Node {
    address: SocketAddr,
    orders: Sender<Order>,
    topics: u32,
}

enum Order {
    Kill(oneshot::Sender<()>),
    Restart(oneshot::Sender<()>),
}

#[derive(Default)]
struct Pool {
    idle: Vec<Node>,
    /// Nodes that are borrowed or about to start.
    busy: usize,
    /// Tests that have a node or wait for one.
    tests: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), busy: 0, tests: 0 });
static GIVEN_BACK: Condvar = Condvar::new();

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a node that no other test has.
pub(crate) fn borrow() -> Borrowed {
    let mut pool = pool();
    pool.tests += 1;
    while pool.idle.is_empty() && pool.busy == NODES_MAX {
        pool = GIVEN_BACK.wait(pool).unwrap_or_else(PoisonError::into_inner);
    }
    pool.busy += 1;
    let idle = pool.idle.pop();
    drop(pool);
    Borrowed { node: Some(idle.unwrap_or_else(start)) }
}

fn start() -> Node {
    let (orders, received) = channel();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let node = Kafka::start();
        let address = node.as_ref().map(Kafka::address).map_err(ToString::to_string);
        tell.send(address).expect("the test waits");
        if let Ok(node) = node {
            keep(node, &received);
        }
    });
    let address = told.recv().expect("the thread answers").expect("the node starts");
    Node { address, orders, topics: 0 }
}

fn keep(mut node: Kafka, orders: &Receiver<Order>) {
    while let Ok(order) = orders.recv() {
        let done = match order {
            Order::Kill(done) => {
                node.kill();
                done
            }
            Order::Restart(done) => {
                node.restart().expect("the node starts again");
                done
            }
        };
        let _ = done.send(());
    }
}

impl Borrowed {
    /// Returns the configuration of a topic that nobody has used before.
    pub(crate) fn config(&mut self) -> Config {
        let node = self.node.as_mut().expect("it is there until it is given back");
        node.topics += 1;
        Config {
            brokers: vec![node.address.to_string()],
            topic: format!("topic-{}", node.topics),
            create: Some(Create { partitions: 4, replicas: 1 }),
            seed: Some(1),
            ..Config::default()
        }
    }

    /// Kills the node with SIGKILL.
    pub(crate) async fn kill(&self) {
        self.order(Order::Kill).await;
    }

    /// Starts the node again on the same port and data.
    pub(crate) async fn restart(&self) {
        self.order(Order::Restart).await;
    }

    async fn order(&self, order: fn(oneshot::Sender<()>) -> Order) {
        let (done, waiting) = oneshot::channel();
        let node = self.node.as_ref().expect("it is there until it is given back");
        node.orders.send(order(done)).expect("the thread keeps the node");
        waiting.await.expect("the thread does what it is told");
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.busy -= 1;
        pool.tests -= 1;
        // A test that failed may leave the node dead.
        if !std::thread::panicking() {
            pool.idle.extend(self.node.take());
        }
        // Nobody tells when the last test has ended; the last one there is ends the nodes, so that their folders go.
        let unused = if pool.tests == 0 { std::mem::take(&mut pool.idle) } else { Vec::new() };
        drop(pool);
        GIVEN_BACK.notify_one();
        drop(unused);
    }
}
