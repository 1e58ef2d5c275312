//! Nodes that tests share, for one takes seconds to start: each test has one to itself and gives it back.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use steadfast_backends::kafka::{Config, Create};
use steadfast_servers::Kafka;

/// How many nodes run at the same time: each takes 300 MiB.
const NODES_MAX: usize = 2;

const THERE: &str = "a node that is borrowed is there";

/// A node that a test has to itself.
pub(super) struct Borrowed {
    /// Empty only before it is started and once it is given back.
    node: Option<Node>,
}

struct Node {
    server: Kafka,
    topics: u32,
}

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
pub(super) fn borrow() -> Borrowed {
    let mut pool = pool();
    pool.tests += 1;
    while pool.idle.is_empty() && pool.busy == NODES_MAX {
        pool = GIVEN_BACK.wait(pool).unwrap_or_else(PoisonError::into_inner);
    }
    pool.busy += 1;
    let idle = pool.idle.pop();
    drop(pool);
    // Made first, so that the place is given back if the node does not start.
    let mut borrowed = Borrowed { node: idle };
    if borrowed.node.is_none() {
        borrowed.node = Some(Node { server: Kafka::start().expect("the node starts"), topics: 0 });
    }
    borrowed
}

impl Borrowed {
    /// Returns the configuration of a topic that nobody has used before.
    pub(super) fn config(&mut self) -> Config {
        let node = self.node.as_mut().expect(THERE);
        node.topics += 1;
        Config {
            brokers: vec![node.server.address().to_string()],
            topic: format!("topic-{}", node.topics),
            create: Some(Create { partitions: 4, replicas: 1 }),
            seed: Some(1),
            ..Config::default()
        }
    }

    /// Kills the node with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.node.as_mut().expect(THERE).server.kill();
    }

    /// Starts the node again on the same port and data.
    pub(super) fn restart(&mut self) {
        self.node.as_mut().expect(THERE).server.restart().expect("the node starts again");
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
