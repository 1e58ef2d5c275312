//! The experiment document: its types, how it is read, and what is wrong with it.
//!
//! Reading goes in three steps. YAML becomes a tree in which every node knows its line and column; the tree becomes
//! the types of this module, and every unknown field is found on the way; the types are checked against each other
//! (targets, steps, variables, times), and all that is wrong there is told at once. A fault found late still points
//! at its place, because the checks name a path in the document and the tree knows where that path stands.

mod check;
mod decode;
mod diagnostic;
mod experiment;
mod fault;
mod invariant;
mod json_path;
mod load;
mod node;
mod objective;
mod phases;
mod read;
mod rollback;
mod system;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use diagnostic::Diagnostic;
pub use diagnostic::Diagnostics;
pub use experiment::ApiVersion;
pub use experiment::Experiment;
pub use experiment::Kind;
pub use experiment::Metadata;
pub use experiment::schema;
pub use fault::AT_LEAST_DEFAULT;
pub use fault::Fault;
pub use fault::FaultKind;
pub use fault::GrpcFault;
pub use fault::HttpFault;
pub use fault::KillFault;
pub use fault::PauseFault;
pub use fault::ProcessPart;
pub use fault::RuntimeFault;
pub use invariant::AcknowledgedCommands;
pub use invariant::Agreement;
pub use invariant::History;
pub use invariant::Invariant;
pub use invariant::Log;
pub use invariant::ValueAt;
pub use json_path::InvalidJsonPath;
pub use json_path::JsonPath;
pub use load::Backoff;
pub use load::HttpRequest;
pub use load::Load;
pub use load::Retry;
pub use load::RetryOn;
pub use load::Stage;
pub use load::Step;
pub use objective::Objective;
pub use phases::During;
pub use phases::Phase;
pub use phases::Phases;
pub use read::DOCUMENT_BYTES_MAX;
pub use read::Document;
pub use read::read_bytes;
pub use read::read_file;
pub use rollback::Abort;
pub use rollback::AbortWhen;
pub use rollback::Action;
pub use rollback::BurnRate;
pub use rollback::Nothing;
pub use rollback::Restart;
pub use rollback::Rollback;
pub use system::Probe;
pub use system::Process;
pub use system::Ready;
pub use system::Signal;
pub use system::Stop;
pub use system::System;
pub use template::InvalidTemplate;
pub use template::Template;
pub use template::UnknownVariable;
