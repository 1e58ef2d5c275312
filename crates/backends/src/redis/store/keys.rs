//! The names of keys, which are part of the format. What stands in braces decides in which slot of a cluster a key
//! lies, so all keys of a store lie in one.

/// Names the keys of one store.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(name: &str) -> Self {
        Self { prefix: format!("{{{name}}}:") }
    }

    fn key(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// A hash: the version of the format, the newest position, how many identities are remembered.
    pub(super) fn meta(&self) -> String {
        self.key("meta")
    }

    /// A stream: all events.
    pub(super) fn log(&self) -> String {
        self.key("log")
    }

    /// A hash: the revision that a stream's next event gets.
    pub(super) fn next(&self) -> String {
        self.key("next")
    }

    /// A hash: which batch an event's identity belongs to.
    pub(super) fn ids(&self) -> String {
        self.key("ids")
    }

    /// A stream: the identities of each batch that is remembered.
    pub(super) fn batches(&self) -> String {
        self.key("batches")
    }

    /// A set: the streams of which some events are still to be deleted.
    pub(super) fn deleting(&self) -> String {
        self.key("deleting")
    }

    /// A sorted set: where the events of a stream stand.
    pub(super) fn index(&self, stream: &str) -> String {
        self.key(&format!("index:{stream}"))
    }

    /// A sorted set: where the events of a deleted stream stand that are still to be deleted.
    pub(super) fn gone(&self, stream: &str) -> String {
        self.key(&format!("gone:{stream}"))
    }
}
