//! State machines that are declared once: which states there are, and which command leads from which to which.
//!
//! [`machine!`](crate::machine!) makes two enums of a declaration, the states and the commands, and from the same
//! lines all that would otherwise be written again and drift apart:
//!
//! | what | where |
//! |---|---|
//! | the check | `STATE.next(COMMAND)`, `STATE.allowed()` |
//! | the error that names state, command and what is allowed instead | [`Illegal`] |
//! | labels for metrics and logs, and all of them | `as_str()`, `ALL` |
//! | counts of what was asked, by state and command, for metrics | [`Tally`] |
//! | a test of every pair of state and command, against a table or an aggregate | `assert_table`, `assert_every_pair`, `assert_aggregate` in `testing` (a feature) |
//! | states that nothing leads to, transitions that never happen | [`Findings`], `assert_sound` |
//! | a diagram, and a test that the one in the documents is up to date | [`Machine::diagram`], `assert_diagram` |
//!
//! A machine has no data: an [`Aggregate`](crate::Aggregate) keeps it, and asks the machine in `decide` whether a
//! command is allowed. [`Lifecycle`] is a machine for whatever runs, can be paused, and ends.
//!
//! # Examples
//! ```
//! use steadfast_core::Machine;
//!
//! steadfast_core::machine! {
//!     /// Where a document stands.
//!     pub enum Document {
//!         /// It is being written.
//!         Draft => { Submit => InReview },
//!         /// Somebody else reads it.
//!         InReview => { Approve => Published, Reject => Draft },
//!         /// Everybody reads it; the end.
//!         Published,
//!     }
//!
//!     /// What can be done with a document.
//!     pub enum Action { Submit, Approve, Reject }
//!
//!     start: Draft
//! }
//!
//! assert_eq!(Document::Draft.next(Action::Submit), Ok(Document::InReview));
//!
//! let illegal = Document::InReview.next(Action::Submit).unwrap_err();
//! assert_eq!(illegal.to_string(), "`in_review` does not allow `submit`, only `approve` or `reject`");
//! assert_eq!(illegal.allowed(), [Action::Approve, Action::Reject]);
//!
//! assert_eq!(Document::ALL.len() * Action::ALL.len(), 9);
//! assert_eq!(Document::InReview.as_str(), "in_review");
//!
//! let diagram = "\
//! stateDiagram-v2
//!     [*] --> draft
//!     draft --> in_review: submit
//!     in_review --> published: approve
//!     in_review --> draft: reject
//!     published --> [*]
//! ";
//! assert_eq!(Document::diagram(), diagram);
//! ```

mod declare;
mod diagram;
mod findings;
mod illegal;
mod label;
mod lifecycle;
#[allow(clippy::module_inception, reason = "the trait after which the folder is named")]
mod machine;
#[doc(hidden)]
pub mod name;
mod tally;
#[cfg(test)]
mod tests;

pub use findings::Findings;
pub use illegal::Illegal;
pub use label::Label;
pub use lifecycle::Control;
pub use lifecycle::Lifecycle;
pub use machine::Machine;
pub use machine::Transition;
pub use tally::Count;
pub use tally::Probe;
pub use tally::Tally;
