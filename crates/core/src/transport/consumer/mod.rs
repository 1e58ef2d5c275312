//! Consumers: what a receiver gets goes to handlers, and what became of it back to the transport.

mod inlet;
mod report;
mod run;
mod running;
mod suspects;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble;

pub use report::Report;
pub use run::Consumer;
