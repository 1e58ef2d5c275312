use crate::Event;

impl Event {
    /// Returns the key that order is kept for and work is shared by: the extension `partitionkey` of CloudEvents
    /// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/partitioning.md>), else the subject.
    pub fn partition_key(&self) -> Option<&str> {
        self.extensions().get("partitionkey").map(String::as_str).or_else(|| self.subject())
    }
}
