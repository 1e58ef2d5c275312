use std::collections::BTreeMap;
use std::sync::Arc;

use steadfast_base::TraceContext;

static NO_EXTENSIONS: BTreeMap<String, String> = BTreeMap::new();

/// The attributes that most events do without. They stand apart and are shared, so that an event is small to move and
/// cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra(Option<Arc<Attributes>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) data_schema: Option<Arc<str>>,
    pub(super) extensions: BTreeMap<String, String>,
    pub(super) trace: Option<TraceContext>,
}

impl Extra {
    /// Returns about how many bytes they take.
    pub(super) fn weight(&self) -> usize {
        self.0.as_ref().map_or(0, |attributes| {
            let texts = attributes.extensions.iter().map(|(name, value)| name.len() + value.len());
            let schema = attributes.data_schema.as_ref().map_or(0, |uri| uri.len());
            size_of::<Attributes>() + schema + texts.sum::<usize>()
        })
    }

    pub(super) fn data_schema(&self) -> Option<&str> {
        self.0.as_ref()?.data_schema.as_deref()
    }

    pub(super) fn extensions(&self) -> &BTreeMap<String, String> {
        self.0.as_ref().map_or(&NO_EXTENSIONS, |attributes| &attributes.extensions)
    }

    pub(super) fn trace(&self) -> Option<TraceContext> {
        self.0.as_ref()?.trace
    }

    /// Returns the attributes to be changed, of this event alone.
    pub(super) fn change(&mut self) -> &mut Attributes {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Says whether one of them may be there.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// Attributes that are all absent are none.
impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one == other,
            (Some(one), None) | (None, Some(one)) => **one == Attributes::default(),
            (None, None) => true,
        }
    }
}

impl Eq for Extra {}
