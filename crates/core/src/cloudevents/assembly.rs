use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use steadfast_base::TraceContext;

use super::{Error, FOREIGN_ID, SPEC_VERSION, foreign_id, id, name, rfc3339};
use crate::Event;

/// Makes an event of attributes and `data`; `received` is its time if it has none. See [`Assembly`].
///
/// # Errors
/// Those of [`Assembly::set`] and [`Assembly::finish`].
///
/// # Examples
/// ```
/// use std::time::SystemTime;
/// use steadfast_core::cloudevents;
///
/// let attributes = [("specversion", "1.0"), ("id", "A-17"), ("source", "/shop"), ("type", "order.created")];
/// let event = cloudevents::from_attributes(attributes, "data", SystemTime::now())?;
/// assert_eq!(event.id(), cloudevents::foreign_id("/shop", "A-17"));
/// # Ok::<(), cloudevents::Error>(())
/// ```
pub fn from_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    data: impl Into<Bytes>,
    received: SystemTime,
) -> Result<Event, Error> {
    let mut assembly = Assembly::new();
    for (name, value) in attributes {
        assembly.set(name, value)?;
    }
    assembly.finish(data, received)
}

/// An event in the making from attributes, in whatever order they come.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    version: bool,
    id: Option<String>,
    source: Option<Arc<str>>,
    kind: Option<Arc<str>>,
    subject: Option<Arc<str>>,
    time: Option<SystemTime>,
    content_type: Option<Arc<str>>,
    data_schema: Option<Arc<str>>,
    trace: Option<Option<TraceContext>>,
    extensions: BTreeMap<String, String>,
}

impl Assembly {
    /// Starts without any attribute.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the attribute `name`, without the prefix that a transport gives it.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`]; [`Error::Invalid`]; [`Error::Name`]; [`Error::Twice`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let given_before = match name {
            "specversion" if value != SPEC_VERSION => return Err(Error::UnsupportedVersion),
            "specversion" => std::mem::replace(&mut self.version, true),
            "id" => {
                name::check_text(name, value, true)?;
                self.id.replace(value.to_owned()).is_some()
            }
            "source" => put(&mut self.source, name, value)?,
            "type" => put(&mut self.kind, name, value)?,
            "subject" => put(&mut self.subject, name, value)?,
            "datacontenttype" => put(&mut self.content_type, name, value)?,
            "dataschema" => put(&mut self.data_schema, name, value)?,
            "time" => {
                let time = rfc3339::parse(value).ok_or(Error::invalid(name, "is not a time of RFC 3339"))?;
                self.time.replace(time).is_some()
            }
            "traceparent" => self.trace.replace(value.parse().ok()).is_some(),
            _ => {
                name::check_extension(name)?;
                name::check_text(name, value, false)?;
                self.extensions.insert(name.to_owned(), value.to_owned()).is_some()
            }
        };
        if given_before { Err(Error::Twice { attribute: name.to_owned() }) } else { Ok(()) }
    }

    /// Returns the media type of the data, if it was set.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Finishes the event with `data`; `received` is its time if it has none.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Name`] when the `id` is not a UUID and the extension [`FOREIGN_ID`] is taken.
    pub fn finish(mut self, data: impl Into<Bytes>, received: SystemTime) -> Result<Event, Error> {
        let missing = |attribute| Error::Missing { attribute };
        if !self.version {
            return Err(missing("specversion"));
        }
        let written = self.id.ok_or(missing("id"))?;
        let source = self.source.ok_or(missing("source"))?;
        let kind = self.kind.ok_or(missing("type"))?;
        let id = match id::usual(&written) {
            Some(id) => id,
            None => {
                let id = foreign_id(&source, &written);
                if self.extensions.insert(FOREIGN_ID.to_owned(), written).is_some() {
                    return Err(Error::Name { name: FOREIGN_ID.to_owned() });
                }
                id
            }
        };
        let time = self.time.unwrap_or(received);
        let mut event = Event::restore(id, source, kind, time).bytes(data);
        (event.subject, event.content_type) = (self.subject, self.content_type);
        event.set_data_schema(self.data_schema);
        event.set_trace(self.trace.flatten());
        event.set_extensions(self.extensions);
        Ok(event)
    }
}

fn put(place: &mut Option<Arc<str>>, name: &str, value: &str) -> Result<bool, Error> {
    name::check_text(name, value, true)?;
    Ok(place.replace(value.into()).is_some())
}
