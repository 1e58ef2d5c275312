use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_base::Deadline;
use steadfast_core::transport::{Error, LinkState, Received, Receiver, Settlement};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::shared::Shared;
use super::{SYSTEM, error};

/// A member of a group. Its task ends within two seconds after it is dropped: it gives back what it owns.
pub(super) struct NatsReceiver {
    shared: Arc<Shared>,
    link: LinkState,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<Result<(), Error>>>>,
}

impl NatsReceiver {
    pub(super) fn start(keeper: Keeper, stop: CancellationToken) -> Self {
        let (shared, link) = (keeper.shared(), keeper.link());
        Self { shared, link, stop, task: Mutex::new(Some(tokio::spawn(keeper.run()))) }
    }

    async fn next(&self, max: usize) -> Result<Vec<Received>, Error> {
        loop {
            let ready = self.shared.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            {
                let mut state = self.shared.state.lock();
                if state.closed {
                    return Ok(Vec::new());
                }
                let received = state.hand_out(max.max(1));
                if !received.is_empty() {
                    return Ok(received);
                }
                if let Some(fault) = &state.fault {
                    return Err(fault.clone());
                }
            }
            ready.await;
        }
    }

    async fn tell(&self, settlements: &[Settlement]) -> Result<(), Error> {
        let upto = {
            let mut state = self.shared.state.lock();
            if state.closed {
                return Err(Error::Closed);
            }
            // Who asks again about what could not be told waits until it was.
            if !state.settle(settlements) && !state.has_words() {
                return Ok(());
            }
            state.words_ever()
        };
        let mut told = self.shared.told.subscribe();
        self.shared.work.notify_one();
        self.shared.ready.notify_waiters();
        let told = told
            .wait_for(|told| told.upto >= upto || told.failed >= upto || told.ended)
            .await
            .map_err(|_| Error::Closed)?;
        if told.failed < upto && told.upto >= upto {
            Ok(())
        } else {
            Err(error::unavailable("NATS was not told for certain"))
        }
    }
}

impl Receiver for NatsReceiver {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        Box::pin(self.next(max))
    }

    fn settle<'a>(&'a self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.tell(settlements))
    }

    fn link(&self) -> LinkState {
        self.link.clone()
    }

    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.shared.state.lock().closed = true;
            self.shared.ready.notify_waiters();
            self.stop.cancel();
            let ending = async {
                let mut task = self.task.lock().await;
                let Some(handle) = task.as_mut() else { return Ok(()) };
                let ended = handle.await;
                *task = None;
                ended.unwrap_or(Err(Error::Closed))
            };
            tokio::time::timeout_at(deadline.instant(), ending)
                .await
                .unwrap_or(Err(Error::DeadlineExceeded { system: SYSTEM }))
        })
    }
}

impl Drop for NatsReceiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
