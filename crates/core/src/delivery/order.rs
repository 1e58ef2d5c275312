/// What order a subscription keeps among the messages that it gives to its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// One message after the other, in the order in which they were published.
    #[default]
    Total,
    /// Messages of one [key](steadfast_base::Context::key) one after the other, others at the same time. Messages
    /// without a key are in no order.
    PerKey,
    /// No order: as many at the same time as the concurrency limit allows.
    None,
}
