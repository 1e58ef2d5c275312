use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use steadfast::base::TraceContext;
use steadfast::core::process::{Done, Next, ProcessManager};

use crate::orders::domain::{Details, OrderId};

/// Decides the steps of a confirmation: reserve, charge, confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm;

/// What a confirmation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Which order.
    pub order: OrderId,
    /// The idempotency key of the command that asked for it.
    pub command: String,
    /// The trace that the command came in, as a header `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What was ordered.
    pub details: Arc<Details>,
}

impl Input {
    /// Returns the identity of the process: each command has one of its own, so that a confirmation that was taken
    /// back does not stand in the way of the next.
    pub fn process_id(&self) -> Arc<str> {
        let digest = Sha256::digest(&self.command);
        let id = format!("{}-", self.order);
        digest[..8].iter().fold(id, |text, byte| text + &format!("{byte:02x}")).into()
    }
}

/// What is done for a confirmation, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Stock is set aside; undone by putting it back.
    Reserve,
    /// The price is charged; undone by giving it back.
    Charge,
    /// The order is confirmed; the last step is never undone.
    Confirm,
}

impl ProcessManager for Confirm {
    type Input = Input;
    type Step = Step;
    type Output = ();

    fn name(&self) -> &str {
        "confirm"
    }

    fn trace(&self, input: &Input) -> Option<TraceContext> {
        input.trace.as_ref()?.parse().ok()
    }

    fn react(&self, _: &Input, done: &[Done<Step, ()>]) -> Next<Step> {
        match done.last().map(|done| done.step) {
            None => Next::Do(Step::Reserve),
            Some(Step::Reserve) => Next::Do(Step::Charge),
            Some(Step::Charge) => Next::Do(Step::Confirm),
            Some(Step::Confirm) => Next::Complete,
        }
    }
}
