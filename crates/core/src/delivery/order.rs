/// What order a subscription keeps among the messages that it gives to its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// One message after the other, in the order in which they were published.
    #[default]
    Total,
    /// Messages with the same [partition key](super::Message::partition_key) one after the other, in the order in
    /// which they were published, others at the same time. Messages without one are in no order.
    PerKey,
    /// No order: as many at the same time as the concurrency limit allows.
    None,
}
