//! The changes that are still to be told, so that they are told in the order in which they happened.

use std::collections::VecDeque;

use super::handle::CHANGES_MAX;
use super::state::Transition;

/// Changes in their order. It stands under the machine's lock; telling does not, for it runs code of others, which may
/// change the breaker in turn. Whoever finds that nobody tells becomes the teller, of what others add meanwhile too.
#[derive(Debug, Default)]
pub(super) struct News {
    untold: VecDeque<Transition>,
    has_teller: bool,
}

impl News {
    /// Adds a change; says whether the caller has to tell it, and all that follow until there is [none](Self::next).
    #[must_use]
    pub(super) fn add(&mut self, transition: Transition) -> bool {
        if self.untold.len() == CHANGES_MAX {
            // As for a subscriber that lags behind: the oldest is lost.
            self.untold.pop_front();
        }
        self.untold.push_back(transition);
        !std::mem::replace(&mut self.has_teller, true)
    }

    /// Returns the next change for the teller, which is relieved when there is none.
    pub(super) fn next(&mut self) -> Option<Transition> {
        let next = self.untold.pop_front();
        self.has_teller = next.is_some();
        next
    }

    /// Relieves a teller that cannot go on.
    pub(super) fn relieve(&mut self) {
        self.has_teller = false;
    }
}
