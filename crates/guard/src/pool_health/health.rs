//! The state of a pool. Pure: rounds go in, a state comes out.

use std::fmt;

use serde::Serialize;

use super::{PoolHealthPolicy, Round};

/// How a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Health {
    /// What was checked answers in time.
    #[default]
    Healthy,
    /// Some connections were stale and the server is well, or a pool that was worse recovers.
    Degraded,
    /// Nothing answers in time, not even a connection that was just opened: look at the server.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// The machine behind it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Machine {
    health: Health,
    /// How many rounds in a row nothing was stale.
    clean: u32,
    /// How many rounds in a row nothing answered.
    silent: u32,
}

impl Machine {
    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// Returns the state after `round`.
    pub(super) fn after(self, round: &Round, policy: &PoolHealthPolicy) -> Self {
        if !round.has_learned() {
            return self;
        }
        if !round.server_answers() {
            let silent = self.silent.saturating_add(1);
            let is_unhealthy = self.health == Health::Unhealthy || silent >= policy.unhealthy_after;
            let health = if is_unhealthy { Health::Unhealthy } else { Health::Degraded };
            return Self { health, clean: 0, silent };
        }
        if round.stale() > 0 {
            return Self { health: Health::Degraded, clean: 0, silent: 0 };
        }
        let clean = self.clean.saturating_add(1);
        let is_healthy = self.health == Health::Healthy || clean >= policy.healthy_after;
        let health = if is_healthy { Health::Healthy } else { Health::Degraded };
        Self { health, clean, silent: 0 }
    }
}
