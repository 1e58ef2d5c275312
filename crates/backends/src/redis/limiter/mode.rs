//! Who decides. Pure: answers and failures go in, a mode comes out.

use serde::Serialize;

/// Who decides whether calls conform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Redis: the quota that all processes share.
    Shared,
    /// The local share of this process.
    #[default]
    Local,
}

/// The machine behind it. It starts with the local share, and trusts the first connection at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Machine {
    mode: Mode,
    /// Calls in a row without an answer.
    failures: u32,
    /// Good answers in a row while the local share decides.
    answers: u32,
    was_connected: bool,
    pub(super) changes: u64,
}

impl Machine {
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    fn set(&mut self, mode: Mode) {
        self.changes += u64::from(self.mode != mode);
        (self.mode, self.failures, self.answers) = (mode, 0, 0);
    }

    /// There is a connection.
    pub(super) fn connected(&mut self) {
        if !self.was_connected {
            self.was_connected = true;
            self.set(Mode::Shared);
        }
    }

    /// There is none any more.
    pub(super) fn lost(&mut self) {
        self.set(Mode::Local);
    }

    /// A call was answered.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// A call was not.
    pub(super) fn failed(&mut self, fall_back_after: u32) {
        self.failures = self.failures.saturating_add(1);
        if self.mode == Mode::Shared && self.failures >= fall_back_after.max(1) {
            self.set(Mode::Local);
        }
    }

    /// The server was asked while the local share decides.
    pub(super) fn tried(&mut self, is_answered: bool, return_after: u32) {
        self.answers = if is_answered { self.answers.saturating_add(1) } else { 0 };
        if self.mode == Mode::Local && self.answers >= return_after.max(1) {
            self.set(Mode::Shared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_back_after_failures_in_a_row_and_returns_after_answers_in_a_row() {
        let mut machine = Machine::default();
        assert_eq!(machine.mode(), Mode::Local);
        machine.connected();
        assert_eq!(machine.mode(), Mode::Shared);
        for _ in 0..10 {
            machine.failed(3);
            machine.failed(3);
            machine.answered();
        }
        assert_eq!(machine.mode(), Mode::Shared);
        (0..3).for_each(|_| machine.failed(3));
        assert_eq!((machine.mode(), machine.changes), (Mode::Local, 2));
        for is_answered in [true, true, false, true, true] {
            machine.tried(is_answered, 3);
            assert_eq!(machine.mode(), Mode::Local);
        }
        machine.tried(true, 3);
        assert_eq!((machine.mode(), machine.changes), (Mode::Shared, 3));
    }

    #[test]
    fn a_lost_connection_falls_back_at_once_and_a_new_one_is_not_trusted_at_once() {
        let mut machine = Machine::default();
        machine.connected();
        machine.lost();
        assert_eq!(machine.mode(), Mode::Local);
        machine.connected();
        assert_eq!(machine.mode(), Mode::Local);
        machine.tried(true, 1);
        assert_eq!(machine.mode(), Mode::Shared);
    }
}
