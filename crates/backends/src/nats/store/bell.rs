use tokio::sync::watch;

/// What wakes the subscriptions of this process.
#[derive(Debug, Default)]
pub(super) struct Bell(watch::Sender<Rung>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rung {
    times: u64,
    pub(super) closed: bool,
}

impl Bell {
    /// Says that something was appended.
    pub(super) fn ring(&self) {
        self.0.send_modify(|rung| rung.times += 1);
    }

    pub(super) fn close(&self) {
        self.0.send_modify(|rung| rung.closed = true);
    }

    pub(super) fn listen(&self) -> watch::Receiver<Rung> {
        self.0.subscribe()
    }
}
