use std::sync::Arc;

use steadfast_base::{Class, Classify};

/// Why a message was not published, or a topic or subscription not given. Nothing was published to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus has been closed or dropped.
    #[error("the bus is closed")]
    Closed,
    /// The topic exists and carries another type: choose another name.
    #[error("topic `{topic}` carries another type than the one asked for")]
    OtherType {
        /// The topic.
        topic: Arc<str>,
    },
    /// A subscription to several topics must name topics of one bus.
    #[error("topic `{topic}` is of another bus than the first one")]
    OtherBus {
        /// The topic.
        topic: Arc<str>,
    },
    /// A subscription must name a topic.
    #[error("a subscription to several topics names none")]
    NoTopic,
    /// A subscriber's queue is full: publish again later, or wait with `publish`.
    #[error("the queue of subscriber `{subscriber}` is full")]
    Full {
        /// The first subscriber whose queue is full.
        subscriber: Arc<str>,
    },
    /// A subscriber's queue stayed full until the deadline: whoever asked has stopped waiting.
    #[error("the queue of subscriber `{subscriber}` stayed full until the deadline")]
    DeadlineExceeded {
        /// The first subscriber whose queue stayed full.
        subscriber: Arc<str>,
    },
}

impl Classify for Error {
    fn classify(&self) -> Class {
        match self {
            Self::Full { .. } => Class::Transient,
            Self::Closed
            | Self::OtherType { .. }
            | Self::OtherBus { .. }
            | Self::NoTopic
            | Self::DeadlineExceeded { .. } => Class::Permanent,
        }
    }
}
