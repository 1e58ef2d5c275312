//! The life of a driver: who may begin an attempt, who waits, and who ends.

use super::Error;
use crate::cell::Cell;
use crate::machine::{Control, Illegal, Lifecycle, Machine};

pub(super) struct Life(Cell<Lifecycle>);

impl Life {
    pub(super) fn new() -> Self {
        Self(Cell::new(Lifecycle::START))
    }

    pub(super) fn now(&self) -> Lifecycle {
        *self.0.load()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.now() == Lifecycle::Terminated
    }

    /// Begins; once it has begun, this does nothing.
    pub(super) fn begin(&self) {
        let _ = self.control(Control::Start);
    }

    /// Ends, begun or not; once it has ended, this does nothing.
    pub(super) fn end(&self) {
        self.begin();
        let _ = self.control(Control::Terminate);
    }

    pub(super) fn control(&self, control: Control) -> Result<(), Illegal<Lifecycle>> {
        loop {
            let now = self.0.load();
            let next = now.next(control)?;
            if self.0.compare_and_swap(now.version(), next).is_ok() {
                return Ok(());
            }
        }
    }

    /// Waits while it is paused.
    pub(super) async fn proceed(&self) -> Result<(), Error> {
        let mut watch = self.0.watch();
        loop {
            match watch.changed().await.map(|now| *now) {
                Ok(Lifecycle::Initial | Lifecycle::Running) => return Ok(()),
                Ok(Lifecycle::Paused) => {}
                Ok(Lifecycle::Terminated) | Err(_) => return Err(Error::Closed),
            }
        }
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) {
        let mut watch = self.0.watch();
        while watch.changed().await.is_ok_and(|now| *now != Lifecycle::Terminated) {}
    }
}
