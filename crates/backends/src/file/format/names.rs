use std::sync::Arc;

use super::raw::text;
use super::record::Malformed;

/// The names of the event before, which those of the next one mostly are: they are shared, and neither checked nor made
/// again.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The stream's name, if it came twice in a row: over many streams keeping it costs more than it saves.
    stream: Name,
    /// What the stream's name before looks like.
    seen: (usize, [u8; 8]),
    source: Name,
    kind: Name,
    content_type: Name,
    schema: Name,
}

type Name = Option<Arc<str>>;

impl Names {
    pub(crate) fn stream(&mut self, name: &[u8]) -> Result<Arc<str>, Malformed> {
        if let Some(stream) = &self.stream
            && stream.as_bytes() == name
        {
            return Ok(Arc::clone(stream));
        }
        let made: Arc<str> = text(name)?.into();
        let looks = (name.len(), name.last_chunk().copied().unwrap_or_default());
        if std::mem::replace(&mut self.seen, looks) == looks {
            self.stream = Some(Arc::clone(&made));
        }
        Ok(made)
    }

    pub(super) fn source(&mut self, name: &[u8]) -> Result<Arc<str>, Malformed> {
        recall(&mut self.source, name)
    }

    pub(super) fn kind(&mut self, name: &[u8]) -> Result<Arc<str>, Malformed> {
        recall(&mut self.kind, name)
    }

    pub(super) fn content_type(&mut self, name: &[u8]) -> Result<Arc<str>, Malformed> {
        recall(&mut self.content_type, name)
    }

    pub(super) fn schema(&mut self, name: &[u8]) -> Result<Arc<str>, Malformed> {
        recall(&mut self.schema, name)
    }
}

#[inline]
fn recall(before: &mut Name, name: &[u8]) -> Result<Arc<str>, Malformed> {
    match before {
        Some(before) if before.as_bytes() == name => Ok(Arc::clone(before)),
        _ => Ok(Arc::clone(before.insert(text(name)?.into()))),
    }
}
