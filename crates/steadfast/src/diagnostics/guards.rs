//! How the guards say how they are.

use serde::Serialize;
use serde_json::{Value, json};
use steadfast_guard::breaker::{self, Breaker};
use steadfast_guard::scope::{self, TaskInfo};
use steadfast_guard::{Bulkhead, Hedge, Probe, Shed, pool_health, workers};

use super::Diagnose;

/// How many tasks of a scope are named.
const TASKS_MAX: usize = 256;

impl Diagnose for Breaker {
    fn kind(&self) -> &'static str {
        BREAKERS
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        breaker(&self.snapshot())
    }
}

pub(super) const BREAKERS: &str = "breakers";

pub(super) fn breaker(snapshot: &breaker::Snapshot) -> Value {
    value(snapshot)
}

impl Diagnose for Bulkhead {
    fn kind(&self) -> &'static str {
        "bulkheads"
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        value(&self.snapshot())
    }
}

impl Diagnose for Shed {
    fn kind(&self) -> &'static str {
        "sheds"
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        value(&self.snapshot())
    }
}

impl Diagnose for Hedge {
    fn kind(&self) -> &'static str {
        "hedges"
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        value(&self.snapshot())
    }
}

impl Diagnose for Probe<workers::Snapshot> {
    fn kind(&self) -> &'static str {
        "workers"
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        value(&self.snapshot())
    }
}

impl Diagnose for pool_health::Probe {
    fn kind(&self) -> &'static str {
        "pools"
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        value(&self.snapshot())
    }
}

#[cfg(feature = "redis-limit")]
impl Diagnose for Probe<steadfast_backends::redis::limiter::Snapshot> {
    fn kind(&self) -> &'static str {
        "shared-rate-limits"
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn snapshot(&self) -> Value {
        value(&self.snapshot())
    }
}

/// A scope, with its oldest tasks.
pub(super) struct Tasks {
    pub(super) scope: Probe<scope::Snapshot>,
    pub(super) tasks: Probe<Vec<TaskInfo>>,
}

impl Diagnose for Tasks {
    fn kind(&self) -> &'static str {
        "scopes"
    }

    fn name(&self) -> &str {
        self.scope.name()
    }

    fn snapshot(&self) -> Value {
        let mut snapshot = value(&self.scope.snapshot());
        let oldest: Vec<Value> = self.tasks.snapshot().iter().take(TASKS_MAX).map(task).collect();
        snapshot["oldestTasks"] = oldest.into();
        snapshot
    }
}

fn task(task: &TaskInfo) -> Value {
    json!({
        "name": task.name,
        "spawnedAt": task.spawned_at.to_string(),
        "ageMs": task.age.as_millis() as u64,
    })
}

fn value(snapshot: &impl Serialize) -> Value {
    serde_json::to_value(snapshot).expect("snapshots are numbers and text")
}
