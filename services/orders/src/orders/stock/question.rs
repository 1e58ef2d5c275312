use std::time::Duration;

use steadfast::base::{Class, Classify, Context, ContextMut, Deadline, TraceContext};

use crate::orders::domain::Sku;

/// How much of an article is free? With what the guards must know of it.
#[derive(Debug, Clone)]
pub struct Question {
    sku: Sku,
    deadline: Option<Deadline>,
    trace: Option<TraceContext>,
}

impl Question {
    /// Makes a question that has until `deadline`.
    pub fn new(sku: Sku, deadline: Option<Deadline>, trace: Option<TraceContext>) -> Self {
        Self { sku, deadline, trace }
    }

    /// Returns the article.
    pub fn sku(&self) -> &Sku {
        &self.sku
    }
}

impl Context for Question {
    fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    fn key(&self) -> Option<&str> {
        None
    }

    fn operation(&self) -> &str {
        "inventory.v1.Inventory/Level"
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

impl ContextMut for Question {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }
}

/// What inventory says of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The pieces that are free.
    pub free: u64,
    /// How long ago it said so, if this stands in for an answer that did not come.
    pub age: Option<Duration>,
    /// How long it says that the answer took.
    pub service_time: Option<Duration>,
}

impl Classify for Level {
    fn classify(&self) -> Class {
        Class::Success
    }

    fn service_time(&self) -> Option<Duration> {
        self.service_time
    }
}
