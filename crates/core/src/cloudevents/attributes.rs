use std::borrow::Cow;
use std::collections::btree_map;

use super::{Error, FOREIGN_ID, SPEC_VERSION, id, name, rfc3339};
use crate::Event;

/// Returns the attributes of `event` as names and texts: the context attributes that it has, `traceparent`, then its
/// extensions by name. The data is not among them.
///
/// Only `id`, `time` and `traceparent` are made; the rest is borrowed.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::Name`] when the event has an attribute that CloudEvents forbids, such as an
/// extension with an upper-case name.
///
/// # Examples
/// ```
/// use steadfast_core::{Event, cloudevents};
///
/// let event = Event::new("/orders", "order.created").subject("order-1").build();
/// let headers: Vec<String> =
///     cloudevents::attributes(&event)?.map(|(name, value)| format!("ce-{name}: {value}")).collect();
/// assert!(headers.contains(&"ce-subject: order-1".to_owned()));
/// # Ok::<(), cloudevents::Error>(())
/// ```
pub fn attributes(event: &Event) -> Result<Attributes<'_>, Error> {
    name::check_text("source", event.source(), true)?;
    name::check_text("type", event.kind(), true)?;
    let optional = [
        ("subject", event.subject()),
        ("datacontenttype", event.content_type()),
        ("dataschema", event.data_schema()),
    ];
    for (name, value) in optional {
        value.map_or(Ok(()), |value| name::check_text(name, value, true))?;
    }
    for (name, value) in event.extensions() {
        name::check_extension(name)?;
        name::check_text(name, value, false)?;
    }
    let (id, foreign) = id::written(event);
    Ok(Attributes { event, id: Some(id), foreign, next: 0, extensions: event.extensions().iter() })
}

/// The attributes of one event; see [`attributes`].
#[derive(Debug, Clone)]
pub struct Attributes<'e> {
    event: &'e Event,
    id: Option<Cow<'e, str>>,
    /// The extension [`FOREIGN_ID`] is written as `id`.
    foreign: bool,
    next: u8,
    extensions: btree_map::Iter<'e, String, String>,
}

impl<'e> Iterator for Attributes<'e> {
    type Item = (&'e str, Cow<'e, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let event = self.event;
        loop {
            let at = self.next;
            self.next = at.saturating_add(1);
            let (name, value) = match at {
                0 => ("specversion", Some(Cow::Borrowed(SPEC_VERSION))),
                1 => ("id", self.id.take()),
                2 => ("source", Some(Cow::Borrowed(event.source()))),
                3 => ("type", Some(Cow::Borrowed(event.kind()))),
                4 => ("subject", event.subject().map(Cow::Borrowed)),
                5 => ("time", Some(Cow::Owned(rfc3339::format(event.time())))),
                6 => ("datacontenttype", event.content_type().map(Cow::Borrowed)),
                7 => ("dataschema", event.data_schema().map(Cow::Borrowed)),
                8 => ("traceparent", event.trace().map(|trace| Cow::Owned(trace.to_string()))),
                _ => {
                    let foreign = self.foreign;
                    let (name, value) =
                        self.extensions.find(|(name, _)| !(foreign && *name == FOREIGN_ID))?;
                    (name.as_str(), Some(Cow::Borrowed(value.as_str())))
                }
            };
            if let Some(value) = value {
                return Some((name, value));
            }
        }
    }
}
