//! Posting events.

mod answer;
mod config;
mod connect;
mod post;
mod request;

pub use config::Mode;
pub use config::SinkConfig;
pub use post::HttpSink;
