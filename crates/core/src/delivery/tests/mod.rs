mod feed;
mod message;
mod parallel;
mod parking;
mod pool;
mod property;
mod total;

use std::time::Duration;

use steadfast_base::{Backoff, Class, Classify, Jitter, Seed};

use super::{Handling, Message, Order, Redelivery};

/// Long enough for anything that is not stuck.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(&'static str);

impl Classify for Failure {
    fn classify(&self) -> Class {
        if self.0 == "permanent" { Class::Permanent } else { Class::Transient }
    }
}

/// Three attempts of one second, with known waits between them.
fn handling(order: Order) -> Handling<u64> {
    let backoff = Backoff { jitter: Jitter::None, ..Backoff::default() };
    let attempt_timeout = Duration::from_secs(1);
    let redelivery = Redelivery { attempts_max: 3, attempt_timeout, backoff, seed: Seed::new(1) };
    Handling { order, redelivery, ..Handling::default() }
}

fn numbers(range: std::ops::Range<u64>) -> impl Iterator<Item = Message<u64>> {
    range.map(Message::new)
}
