//! Events, the bus, aggregates and the event store trait.
