//! What must be true of the system's data when the load has ended.
//!
//! Checking is pure: [`check_ledger`] holds what was sent against what the system's own log says, and knows nothing of
//! HTTP. Reading is apart: [`check`] fetches the log by the mapping that the document gives, for any service. What was
//! acknowledged may still be on its way (an answer of 202 says so), so a check that fails is repeated for as long as
//! the document allows; what is lost stays lost, and what is there twice stays there.

mod acknowledged;
mod agreement;
mod fetch;
mod ledger;
mod read;
mod run;
mod sent;
mod violation;

pub use acknowledged::Rules;
pub use acknowledged::check_ledger;
pub use agreement::differences;
pub use fetch::ReadError;
pub use ledger::LedgerEntry;
pub use read::ENTRIES_MAX;
pub use read::read_histories;
pub use read::read_log;
pub use run::Lookup;
pub use run::check;
pub use sent::Acknowledgement;
pub use sent::SentCommand;
pub use violation::VIOLATIONS_LISTED_MAX;
