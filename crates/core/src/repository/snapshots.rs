use std::time::Duration;

use super::entry::Entry;
use super::settings::Snapshotting;
use super::{EventCodec, Repository};
use crate::Aggregate;
use crate::snapshot::{Since, Snapshot};

/// How long a snapshot may hold up a command.
pub(super) const SNAPSHOT_WITHIN: Duration = Duration::from_secs(2);

impl<A, C> Repository<A, C>
where
    A: Aggregate<Event: Sync, Command: Sync, Error: Send> + Sync,
    C: EventCodec<A>,
{
    /// Takes a snapshot if the policy says so; no command fails for one.
    pub(super) async fn snapshot_if_due(&self, entry: &Entry<A>) {
        let Some(Snapshotting { codec, place, policy }) = &self.settings.snapshots else { return };
        let snapshot = {
            let state = entry.state.read();
            let Some((state, revision)) = state.fresh().and_then(|state| Some((state, state.revision?)))
            else {
                return;
            };
            let taken = self.settings.clock.now();
            if !policy.is_due(&state.since, taken) {
                return;
            }
            codec.encode(&state.aggregate).map(|encoded| Snapshot {
                version: codec.version(),
                revision,
                position: state.position,
                taken,
                commands: state.known.iter().cloned().collect(),
                state: encoded,
            })
        };
        let saved = match snapshot {
            Err(error) => Err(error.to_string()),
            Ok(snapshot) => {
                let taken = snapshot.taken;
                let saved = tokio::time::timeout(SNAPSHOT_WITHIN, place.save(entry.stream(), snapshot)).await;
                if let Some(state) = entry.state.write().any_mut() {
                    // Also when it failed: the next try is after as much again.
                    state.since = Since { time: Some(taken), ..Since::default() };
                }
                match saved {
                    Ok(saved) => saved.map_err(|error| error.to_string()),
                    Err(_) => Err("it took too long".to_owned()),
                }
            }
        };
        match saved {
            Ok(()) => self.counters.snapshots.add(1),
            Err(problem) => {
                self.counters.snapshots_failed.add(1);
                tracing::warn!(stream = &**entry.stream(), problem, "a snapshot could not be taken");
            }
        }
    }
}
