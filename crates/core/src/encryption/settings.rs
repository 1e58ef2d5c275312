use std::fmt;
use std::sync::Arc;

use crate::Event;
use crate::snapshot::StoredSnapshots;
use crate::store::{Checkpoint, StoredEvent};

/// Says whose key an event is encrypted with, by its stream; none leaves it readable.
pub type OwnerOf = Arc<dyn Fn(&str, &Event) -> Option<Arc<str>> + Send + Sync>;

/// What is encrypted, and what is returned of what was forgotten.
///
/// # Examples
/// All that a customer's orders and invoices say of them is forgotten with one key:
/// ```
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::encryption::Settings;
///
/// let owner = |stream: &str, event: &Event| {
///     let customer = event.extensions().get("customer").map_or(stream, String::as_str);
///     Some(customer.into())
/// };
/// let settings = Settings { owner: Arc::new(owner), ..Settings::default() };
/// # let _ = settings;
/// ```
#[derive(Clone)]
pub struct Settings {
    /// Whose key an event is encrypted with. It stands with the event, so that it may change for events to come.
    pub owner: OwnerOf,
    /// What is returned of an event whose key was forgotten.
    pub forgotten: Forgotten,
}

/// What is returned of an event whose key was forgotten. Readers that want different things of one store have a wrapper
/// each.
#[derive(Clone, Default)]
pub enum Forgotten {
    /// The event with its attributes, without data, [marked](super::is_forgotten).
    #[default]
    Mark,
    /// What the function makes of the marked event, such as data that its readers can decode. Position, stream and
    /// revision stay as they are, and so does the mark.
    Replace(Arc<dyn Fn(&StoredEvent) -> Event + Send + Sync>),
    /// An error, [`Unsupported`](crate::store::Error::Unsupported), with which reading ends: for who would rather stop.
    Fail,
}

impl Default for Settings {
    /// Each stream owns its events, the stream of an aggregate its snapshots too, and checkpoints stay readable; what is
    /// forgotten is marked.
    fn default() -> Self {
        Self { owner: Arc::new(own), forgotten: Forgotten::default() }
    }
}

fn own(stream: &str, event: &Event) -> Option<Arc<str>> {
    match event.kind() {
        Checkpoint::KIND => None,
        StoredSnapshots::KIND => Some(StoredSnapshots::stream_of(stream).unwrap_or(stream).into()),
        _ => Some(stream.into()),
    }
}

impl fmt::Debug for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mark => "Mark",
            Self::Replace(_) => "Replace",
            Self::Fail => "Fail",
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("forgotten", &self.forgotten).finish_non_exhaustive()
    }
}
