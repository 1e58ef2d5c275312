use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::snapshot::NotDecoded;
use crate::{Aggregate, Cell, Event};

/// How the events of an aggregate are written into its stream and read back.
pub trait EventCodec<A: Aggregate>: Send + Sync + 'static {
    /// Writes an event of the aggregate `name`.
    ///
    /// # Errors
    /// [`NotDecoded`] when this event cannot be written; the command fails then.
    fn encode(&self, name: &str, event: &A::Event) -> Result<Event, NotDecoded>;

    /// Reads an event.
    ///
    /// # Errors
    /// [`NotDecoded`] when it is not one of the aggregate's; the aggregate cannot be loaded then.
    fn decode(&self, event: &Event) -> Result<A::Event, NotDecoded>;
}

/// Writes events as JSON, each with a type of its own and the aggregate's name as its subject.
///
/// # Examples
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast_core::repository::JsonEvents;
///
/// #[derive(Serialize, Deserialize)]
/// enum Account { Opened, Deposited { cents: u64 } }
///
/// let events = JsonEvents::new("/accounts", |event: &Account| match event {
///     Account::Opened => "account.opened",
///     Account::Deposited { .. } => "account.deposited",
/// });
/// # let _ = events;
/// ```
#[derive(Debug, Clone)]
pub struct JsonEvents<F> {
    source: Arc<str>,
    kind: F,
    content_type: Arc<str>,
    /// The types that events had so far, so that events of one type share its name.
    kinds: Cell<Vec<Arc<str>>>,
}

/// How many names of types are shared at most; the names of more are copied for each event.
const KINDS_MAX: usize = 64;

impl<F> JsonEvents<F> {
    /// Makes the codec of events from `source`; `kind` names the type of each, such as `order.created`.
    pub fn new<E>(source: impl Into<Arc<str>>, kind: F) -> Self
    where
        F: Fn(&E) -> &'static str,
    {
        Self {
            source: source.into(),
            kind,
            content_type: "application/json".into(),
            kinds: Cell::new(Vec::new()),
        }
    }

    /// Returns the name of a type, which most events share with those before.
    fn shared(&self, kind: &str) -> Arc<str> {
        let kinds = self.kinds.load();
        if let Some(known) = kinds.iter().find(|known| &***known == kind) {
            return Arc::clone(known);
        }
        let new: Arc<str> = kind.into();
        if kinds.len() < KINDS_MAX {
            let more = kinds.iter().cloned().chain([Arc::clone(&new)]);
            // Whoever comes first wins; a name that is lost comes again with the next event.
            let _ = self.kinds.compare_and_swap(kinds.version(), more.collect());
        }
        new
    }
}

impl<A, F> EventCodec<A> for JsonEvents<F>
where
    A: Aggregate<Event: Serialize + DeserializeOwned>,
    F: Fn(&A::Event) -> &'static str + Send + Sync + 'static,
{
    fn encode(&self, name: &str, event: &A::Event) -> Result<Event, NotDecoded> {
        let data = serde_json::to_vec(event).map_err(NotDecoded::new)?;
        let event = Event::new(Arc::clone(&self.source), self.shared((self.kind)(event)));
        Ok(event.subject(name).data(Arc::clone(&self.content_type), data))
    }

    fn decode(&self, event: &Event) -> Result<A::Event, NotDecoded> {
        serde_json::from_slice(event.data()).map_err(NotDecoded::new)
    }
}
