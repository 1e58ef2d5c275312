//! What is known of the server: what it syncs, and what it must not have lost.

use std::sync::OnceLock;

use ::redis::aio::MultiplexedConnection;
use parking_lot::Mutex;
use steadfast_core::store::{Durability, Error, Position};
use steadfast_core::transport;

use crate::redis::server::{self, Always, wrong};
use crate::redis::torn::Known;
use crate::redis::{Config, Persistence};

/// What makes an event durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sync {
    /// Nothing does.
    Never,
    /// Waiting for it.
    OnDemand,
    /// It is before the server answers.
    Always,
}

impl Sync {
    /// Finds out what the server does, as far as the configuration does not say it.
    pub(super) async fn of(
        config: &Config,
        connection: &mut MultiplexedConnection,
    ) -> Result<Self, transport::Error> {
        let stated = config.persistence;
        if stated != Persistence::WaitAof {
            match (server::syncs_always(connection).await?, stated) {
                (Always::Yes, _) | (Always::Hidden, Persistence::AppendFsyncAlways) => {
                    return Ok(Self::Always);
                }
                (Always::No(problem), Persistence::AppendFsyncAlways) => {
                    return Err(wrong("persistence", problem));
                }
                _ => {}
            }
        }
        match server::cannot_wait(connection).await? {
            None => Ok(Self::OnDemand),
            Some(problem) if stated == Persistence::WaitAof => Err(wrong("persistence", problem)),
            Some(_) => Ok(Self::Never),
        }
    }

    pub(super) fn durability_max(self) -> Durability {
        if self == Self::Never { Durability::Accepted } else { Durability::Durable }
    }
}

/// What was found when the store was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) sync: Sync,
    pub(super) deduplicated_events: u64,
}

/// The newest positions that this process knows of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Newest {
    /// Of all that was there.
    pub(super) seen: Position,
    /// Of what has been made durable.
    pub(super) kept: Position,
    /// Of what was missed and said to be lost.
    missed: Position,
}

/// What the connections of a store have found out.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) found: OnceLock<Found>,
    newest: Mutex<Newest>,
    /// What is known of the server's file.
    pub(super) file: Known,
    /// Why nothing more may be done.
    pub(super) fatal: OnceLock<Error>,
}

impl Facts {
    pub(super) fn newest(&self) -> Newest {
        *self.newest.lock()
    }

    pub(super) fn sync(&self) -> Sync {
        self.found.get().map_or(Sync::Never, |found| found.sync)
    }

    /// Takes note of a position that the server has told.
    pub(super) fn saw(&self, position: Position) {
        let mut newest = self.newest.lock();
        newest.seen = newest.seen.max(position);
        if self.sync() == Sync::Always {
            newest.kept = newest.kept.max(position);
        }
    }

    /// Takes note that all up to `position` is durable.
    pub(super) fn kept(&self, position: Position) {
        let mut newest = self.newest.lock();
        newest.kept = newest.kept.max(position);
    }

    /// Compares the server's `head` with what was known `before` it was asked for. A server that has lost what was
    /// durable ends the store: whoever decides to go on with what is left opens it again.
    pub(super) fn compare(&self, before: Newest, head: Position) -> Result<(), Error> {
        if head < before.kept {
            let problem = format!(
                "it has lost events that were durable: its newest is {head}, but {} was there; restore it, or open the \
                 store again to go on with what is left",
                before.kept
            );
            let error = Error::Damaged { place: "the Redis server".to_owned(), problem };
            return Err(self.fatal.get_or_init(|| error).clone());
        }
        self.saw(head);
        let mut newest = self.newest.lock();
        if head < before.seen && newest.missed < before.seen {
            newest.missed = before.seen;
            tracing::warn!(%head, seen = %before.seen, "Redis has lost events that were not durable");
        }
        Ok(())
    }
}

impl Facts {
    /// Checks that a reader who has seen all up to `after` does not stand behind the newest event. What is appended from
    /// now on stands behind both, so where loss is to be expected, it may go on.
    pub(super) fn check_reader(&self, after: Position, head: Position) -> Result<(), Error> {
        if after <= head || self.sync() == Sync::Never {
            return Ok(());
        }
        let problem = format!("the newest event is {head}, but a reader has seen {after}: events were lost");
        Err(Error::Damaged { place: "the Redis server".to_owned(), problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sync: Sync) -> Facts {
        let facts = Facts::default();
        facts.found.get_or_init(|| Found { sync, deduplicated_events: 1 });
        facts
    }

    #[test]
    fn what_was_durable_must_be_there_and_nothing_else() {
        let [old, new] = [3, 5].map(|major| Position::from_parts(major, 0));
        let always = facts(Sync::Always);
        always.saw(new);
        assert!(matches!(always.compare(always.newest(), old), Err(Error::Damaged { .. })));
        assert!(always.fatal.get().is_some());
        let on_demand = facts(Sync::OnDemand);
        on_demand.saw(new);
        on_demand.kept(old);
        assert!(on_demand.compare(on_demand.newest(), old).is_ok());
        assert_eq!(on_demand.newest().seen, new, "nothing new is given a place that was seen");
        assert!(on_demand.compare(on_demand.newest(), Position::START).is_err());
        let never = facts(Sync::Never);
        never.saw(new);
        assert!(never.compare(never.newest(), Position::START).is_ok());
    }
}
