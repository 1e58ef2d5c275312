//! A small aggregate, as the guide has it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steadfast_core::Aggregate;
use steadfast_core::repository::{JsonEvents, Repository, Settings};
use steadfast_core::store::EventStore;
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Account {
    cents: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Deposited {
    cents: u64,
}

impl Aggregate for Account {
    type Command = u64;
    type Event = Deposited;
    type Error = &'static str;

    fn decide(&self, cents: &u64) -> Result<Vec<Deposited>, &'static str> {
        match self.cents.checked_add(*cents) {
            Some(_) => Ok(vec![Deposited { cents: *cents }]),
            None => Err("it is full"),
        }
    }

    fn evolve(&mut self, deposited: &Deposited) {
        self.cents += deposited.cents;
    }
}

pub(super) type Accounts = Repository<Account, JsonEvents<fn(&Deposited) -> &'static str>>;

pub(super) fn accounts(store: Arc<dyn EventStore>, settings: Settings<Account>) -> Accounts {
    let kind: fn(&Deposited) -> &'static str = |_| "account.deposited";
    Repository::new(store, "account-", JsonEvents::new("/accounts", kind), settings)
}

/// The name of an account: the text of a UUID.
pub(super) fn name(number: usize) -> String {
    uuid(0xACC0, number as u64, |text| text.to_owned())
}

/// Shows the text of a UUID to `use_it`.
pub(super) fn uuid<T>(high: u64, low: u64, use_it: impl FnOnce(&str) -> T) -> T {
    let mut text = Uuid::encode_buffer();
    use_it(Uuid::from_u64_pair(high, low).hyphenated().encode_lower(&mut text))
}
