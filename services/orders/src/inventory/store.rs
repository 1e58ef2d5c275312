use std::collections::BTreeMap;
use std::sync::Arc;

use steadfast::core::repository::{Cause, Error};
use steadfast::core::store::Outcome;
use tonic::Status;

use super::domain::{Command, Refused, Reservation};
use super::levels::Levels;
use super::log::Reservations;
use crate::host::{Key, Work};
use crate::ledger::{Behind, Crowded, Locks, LogView, status};
use crate::orders::domain::Sku;

/// How many calls may hold or wait for one key.
const USERS_MAX: usize = 64;

/// All reservations, and what is left.
pub struct Store {
    shelves: Arc<Shelves>,
    work: Work,
}

struct Shelves {
    reservations: Reservations,
    levels: Arc<LogView<Levels>>,
    /// What is held under a key belongs to one call at a time.
    keys: Locks<Arc<str>>,
}

/// Why nothing was reserved or released.
enum Failure {
    Command(Error<Refused>),
    /// Whether there is enough is not known.
    Behind(Behind),
    Crowded(Crowded),
}

impl Store {
    /// Makes the store over `reservations` and the levels that their log leads to; started commands run to their end
    /// in `work`.
    pub fn new(reservations: Reservations, levels: Arc<LogView<Levels>>, work: Work) -> Self {
        let shelves = Shelves { reservations, levels, keys: Locks::new(USERS_MAX) };
        Self { shelves: Arc::new(shelves), work }
    }

    /// Returns what is set aside, by order and article.
    ///
    /// # Errors
    /// [`Behind`].
    pub async fn reserved(&self) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Behind> {
        self.shelves.levels.caught_up().await?;
        Ok(self.shelves.levels.look(Levels::by_order))
    }

    /// Returns how much of an article is free, as far as has been heard: what was put back may follow in a moment.
    pub(super) fn free(&self, sku: &Sku) -> u64 {
        self.shelves.levels.look(|levels| levels.free(sku))
    }

    /// Carries out a command; says whether that changed anything, and how the reservation stands.
    pub(super) async fn execute(&self, key: Key, command: Command) -> Result<(bool, Reservation), Status> {
        let shelves = Arc::clone(&self.shelves);
        Ok(self.work.finish(async move { shelves.execute(key.into(), &command).await }).await??)
    }
}

impl Shelves {
    async fn execute(&self, key: Arc<str>, command: &Command) -> Result<(bool, Reservation), Failure> {
        let _turn = self.keys.lock(Arc::clone(&key)).await?;
        let holds = self.hold(&key, command).await?;
        // The key names the reservation, which tells a repetition by itself: the same key serves to release.
        let done = self.reservations.execute(&key, command, &Cause::unknown()).await;
        if let (Err(error), Command::Reserve(_)) = (&done, command)
            && comes_to_nothing(error, holds)
        {
            self.levels.look(|levels| levels.let_go(&key));
        }
        let reservation = self.reservations.look(&key, |reservation, _| reservation.clone()).await;
        Ok((!done?.events.is_empty(), reservation.map_err(Error::Load)?))
    }

    /// Holds what the command takes, before the log has it; says whether it was not held before.
    async fn hold(&self, key: &Arc<str>, command: &Command) -> Result<bool, Failure> {
        let Command::Reserve(aside) = command else { return Ok(false) };
        let hold = || self.levels.look(|levels| levels.hold(key, aside));
        if let Ok(holds) = hold() {
            return Ok(holds);
        }
        // What was put back may not have come here yet: no order is refused for that.
        self.levels.caught_up().await?;
        match hold() {
            Ok(holds) => Ok(holds),
            Err(refused) => {
                let absent = |reservation: &Reservation, _| *reservation == Reservation::Absent;
                // What the key has led to before counts for more.
                match self.reservations.look(key, absent).await.map_err(Error::Load)? {
                    true => Err(Error::Refused(refused).into()),
                    false => Ok(false),
                }
            }
        }
    }
}

/// Says whether what is held for a command that ended so is free again: unless the log may have it all the same, now or
/// by an earlier call.
fn comes_to_nothing(error: &Error<Refused>, holds: bool) -> bool {
    match error {
        Error::Refused(_) => true,
        Error::Store(error) => holds && error.outcome() == Outcome::NotAppended,
        _ => holds,
    }
}

impl From<Error<Refused>> for Failure {
    fn from(error: Error<Refused>) -> Self {
        Self::Command(error)
    }
}

impl From<Behind> for Failure {
    fn from(behind: Behind) -> Self {
        Self::Behind(behind)
    }
}

impl From<Crowded> for Failure {
    fn from(crowded: Crowded) -> Self {
        Self::Crowded(crowded)
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Command(error) => status(error, |refused| match refused {
                Refused::Other => Self::invalid_argument(refused.to_string()),
                Refused::TooLittle(_) | Refused::Released => Self::failed_precondition(refused.to_string()),
            }),
            Failure::Behind(behind) => Self::unavailable(behind.to_string()),
            Failure::Crowded(crowded) => Self::resource_exhausted(crowded.to_string()),
        }
    }
}
