use std::convert::Infallible;
use std::sync::Arc;

use futures::TryStreamExt;

use super::cache::Weighed;
use super::entry::{Entry, Loaded, Name};
use super::settings::Snapshotting;
use super::snapshots::SNAPSHOT_WITHIN;
use super::state::State;
use super::{EventCodec, LoadError, Repository};
use crate::Aggregate;
use crate::store::{self, Position, Query, Revision};

impl<A, C> Repository<A, C>
where
    A: Aggregate<Event: Sync, Command: Sync, Error: Send> + Sync,
    C: EventCodec<A>,
{
    /// Shows the aggregate `name` to `question`, with the revision of its newest event, as this process knows it: what
    /// other processes have appended since may be missing. One without events is as [`Default`] makes it.
    ///
    /// Commands on the aggregate wait while `question` runs.
    ///
    /// # Errors
    /// [`LoadError`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn look<R>(
        &self,
        name: &str,
        question: impl FnOnce(&A, Option<Revision>) -> R,
    ) -> Result<R, LoadError> {
        let entry = self.entry(name);
        loop {
            if let Some(state) = entry.state.read().any() {
                return Ok(question(&state.aggregate, state.revision));
            }
            // Readers do not count as waiting: they leave as soon as it is loaded.
            let _turn = entry.turn(usize::MAX).await;
            self.load(&entry).await?;
        }
    }

    /// Reads what others have appended to the stream of `name` since this process last looked.
    ///
    /// # Errors
    /// [`LoadError`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn refresh(&self, name: &str) -> Result<(), LoadError> {
        let entry = self.entry(name);
        let _turn = entry.turn(usize::MAX).await;
        entry.state.write().doubt();
        self.load(&entry).await.map(drop)
    }

    /// Drops what this process keeps of the aggregate `name`, and its snapshot: the next who asks for it reads its events.
    /// For data that must be forgotten, once their key is; see [`encryption`](crate::encryption).
    ///
    /// # Errors
    /// The place of snapshots cannot be reached; nothing is left in memory all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open what was dropped.
    pub async fn evict(&self, name: &str) -> Result<(), store::Error> {
        let entry = self.entry(name);
        let _turn = entry.turn(usize::MAX).await;
        *entry.state.write() = Loaded::default();
        self.cache.remove(name);
        match &self.settings.snapshots {
            Some(Snapshotting { place, .. }) => place.remove(entry.stream()).await,
            None => Ok(()),
        }
    }

    pub(super) fn entry(&self, name: &str) -> Arc<Entry<A>> {
        if let Some(weighed) = self.cache.get(name) {
            return weighed.entry;
        }
        let name = Name::new(&self.prefix, name);
        let entry = || {
            let entry = Arc::new(Entry::new(name.clone()));
            Ok::<_, Infallible>(Weighed::new(entry, self.settings.weigh))
        };
        match self.cache.get_or_insert_with(&name, entry) {
            Ok(weighed) => weighed.entry,
            Err(never) => match never {},
        }
    }

    /// Sees to it that the state is fresh; says whether the store was read for that.
    pub(super) async fn load(&self, entry: &Arc<Entry<A>>) -> Result<bool, LoadError> {
        if entry.state.read().fresh().is_some() {
            return Ok(false);
        }
        let known = entry.state.write().take();
        let (was_known, mut state) = match known {
            Some(state) => (true, state),
            None => (false, self.restore(entry).await?),
        };
        if !was_known {
            self.counters.loads.add(1);
        }
        let replayed = self.replay(entry, &mut state).await;
        let changed = !was_known || !matches!(replayed, Ok(0));
        // What was read is right even if the rest could not be.
        entry.state.write().put(state, replayed.is_ok());
        if changed {
            self.weigh(entry);
        }
        replayed.map(|_| true)
    }

    /// Starts from the snapshot, if there is one that fits.
    pub(super) async fn restore(&self, entry: &Entry<A>) -> Result<State<A>, LoadError> {
        let Some(Snapshotting { codec, place, .. }) = &self.settings.snapshots else {
            return Ok(State::new());
        };
        let stream = &**entry.stream();
        let loaded = tokio::time::timeout(SNAPSHOT_WITHIN, place.load(stream)).await;
        let snapshot = match loaded {
            Ok(Ok(Some(snapshot))) => snapshot,
            Ok(Ok(None)) => return Ok(State::new()),
            Ok(Err(error)) => {
                tracing::warn!(stream, %error, "a snapshot cannot be loaded; the state is rebuilt from its events");
                return Ok(State::new());
            }
            Err(_) => {
                tracing::warn!(
                    stream,
                    "a snapshot was not loaded in time; the state is rebuilt from its events"
                );
                return Ok(State::new());
            }
        };
        let (revision, newest) = (snapshot.revision, self.store.revision(stream).await?);
        let fits = newest.is_some_and(|newest| newest >= revision);
        let restored = match State::restore(snapshot, &**codec) {
            Ok(state) if fits => return Ok(state),
            Ok(_) => "it is ahead of its stream".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            stream,
            problem = restored,
            "a snapshot was dropped; the state is rebuilt from its events"
        );
        self.counters.snapshots_dropped.add(1);
        let _ = tokio::time::timeout(SNAPSHOT_WITHIN, place.remove(stream)).await;
        Ok(State::new())
    }

    /// Applies what stands in the stream behind `state`, and returns how many events that were.
    pub(super) async fn replay(&self, entry: &Entry<A>, state: &mut State<A>) -> Result<u64, LoadError> {
        let from = (state.position > Position::START).then_some(state.position);
        let mut events = self.store.read(Query { from, ..Query::stream(Arc::clone(entry.stream())) });
        let mut replayed = 0;
        while let Some(stored) = events.try_next().await? {
            state.apply_stored(&stored, &self.codec, self.settings.keys_max)?;
            replayed += 1;
            self.counters.replayed.add(1);
        }
        Ok(replayed)
    }

    /// Tells the cache how much an entry takes now.
    pub(super) fn weigh(&self, entry: &Arc<Entry<A>>) {
        let weighed = Weighed::new(Arc::clone(entry), self.settings.weigh);
        self.cache.insert(entry.name.clone(), weighed);
    }
}
