use std::sync::Arc;

use crate::Event;

/// Which events a subscriber wants; an empty list means all.
///
/// A value that ends with `*` stands for all that begin like it.
///
/// # Examples
/// ```
/// use steadfast_core::Event;
/// use steadfast_core::bus::Filter;
///
/// let filter = Filter::default().kind("order.*").attribute("tenant", "a");
/// let event = Event::new("/orders", "order.created").extension("tenant", "a").build();
/// assert!(filter.matches(&event));
/// assert!(!filter.matches(&Event::new("/orders", "order.created").build()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Types of events; one of them must match.
    pub kinds: Vec<Arc<str>>,
    /// Subjects; one of them must match.
    pub subjects: Vec<Arc<str>>,
    /// Names and values of other attributes, `source`, `datacontenttype`, `dataschema` or an extension; all must
    /// match.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
}

impl Filter {
    /// Adds a type.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kinds.push(kind.into());
        self
    }

    /// Adds a subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.subjects.push(subject.into());
        self
    }

    /// Adds an attribute and the value that it must have.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Says whether `event` is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        let one_of = |patterns: &[Arc<str>], value| {
            patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, value))
        };
        one_of(&self.kinds, Some(event.kind()))
            && one_of(&self.subjects, event.subject())
            && self.attributes.iter().all(|(name, pattern)| matches(pattern, attribute(event, name)))
    }
}

fn matches(pattern: &str, value: Option<&str>) -> bool {
    value.is_some_and(|value| match pattern.strip_suffix('*') {
        Some(start) => value.starts_with(start),
        None => value == pattern,
    })
}

fn attribute<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    match name {
        "source" => Some(event.source()),
        "type" => Some(event.kind()),
        "subject" => event.subject(),
        "datacontenttype" => event.content_type(),
        "dataschema" => event.data_schema(),
        extension => event.extensions().get(extension).map(String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_is_needed() {
        let event = Event::new("/orders", "order.created")
            .subject("o-1")
            .extension("tenant", "a")
            .content_type("text/plain")
            .build();
        let passes = [
            Filter::default(),
            Filter::default().kind("order.created").subject("o-1"),
            Filter::default().kind("payment.*").kind("order.*"),
            Filter::default().attribute("source", "/ord*").attribute("tenant", "a"),
            Filter::default().attribute("datacontenttype", "text/*").attribute("subject", "*"),
        ];
        let fails = [
            Filter::default().kind("order"),
            Filter::default().kind("order.*").subject("o-2"),
            Filter::default().attribute("tenant", "a").attribute("source", "/payment"),
            Filter::default().attribute("dataschema", "*"),
            Filter::default().attribute("nobody", ""),
        ];
        assert!(passes.iter().all(|filter| filter.matches(&event)));
        assert!(fails.iter().all(|filter| !filter.matches(&event)));
    }
}
