use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Aggregate;
use crate::repository::{JsonEvents, Repository, Settings, Snapshotting};
use crate::snapshot::{JsonSnapshots, SnapshotPolicy, StoredSnapshots};
use crate::store::EventStore;
use crate::testing::store::tools::usual;

/// An account that cannot be overdrawn.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) balance: u64,
    pub(super) changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// That many deposits of one.
    Deposit(u64),
    /// One withdrawal.
    Withdraw(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Deposited,
    Withdrawn(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overdrawn;

impl Aggregate for Account {
    type Command = Command;
    type Event = Change;
    type Error = Overdrawn;

    fn decide(&self, command: &Command) -> Result<Vec<Change>, Overdrawn> {
        match command {
            Command::Deposit(times) => Ok((0..*times).map(|_| Change::Deposited).collect()),
            Command::Withdraw(amount) if *amount > self.balance => Err(Overdrawn),
            Command::Withdraw(amount) => Ok(vec![Change::Withdrawn(*amount)]),
        }
    }

    fn evolve(&mut self, change: &Change) {
        self.changes += 1;
        match change {
            Change::Deposited => self.balance += 1,
            // A store that lets two withdraw the same must be told by the result, not by a panic.
            Change::Withdrawn(amount) => self.balance = self.balance.saturating_sub(*amount),
        }
    }
}

pub(super) type Accounts = Repository<Account, JsonEvents<fn(&Change) -> &'static str>>;

/// Accounts as one process has them: with snapshots in the store itself, every three events.
pub(super) fn accounts(store: &Arc<dyn EventStore>, cache_bytes_max: u64) -> Accounts {
    let snapshots = Snapshotting {
        codec: Arc::new(JsonSnapshots::new(1)),
        place: Arc::new(StoredSnapshots::new(Arc::clone(store))),
        policy: SnapshotPolicy::every_events(3),
    };
    let settings = Settings {
        durability: usual(&**store),
        conflicts_max: 50,
        cache_bytes_max,
        snapshots: Some(snapshots),
        ..Settings::default()
    };
    let kind = |change: &Change| match change {
        Change::Deposited => "deposited",
        Change::Withdrawn(_) => "withdrawn",
    };
    Repository::new(Arc::clone(store), "account-", JsonEvents::new("/accounts", kind as _), settings)
}
