use crate::TemplateError;

/// Why a load cannot be driven. All but [`Error::Thread`] lie in the plan, so that repeating cannot help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The scenario is empty.
    #[error("the scenario has no step; add at least one")]
    NoSteps,
    /// The stages ask for no arrival.
    #[error("the stages ask for no arrival; give one a rate and a duration")]
    NoArrivals,
    /// A bound of the generator is zero.
    #[error("`{0}` is zero; it must be at least 1")]
    ZeroBound(&'static str),
    /// A template cannot be read.
    #[error("step `{step}`: {source}")]
    Template {
        /// The step.
        step: String,
        /// What is wrong.
        source: TemplateError,
    },
    /// A template uses a name that nothing gives a value.
    #[error("step `{step}` uses `${{{name}}}`, which no step before it captures and which is no target")]
    UnknownName {
        /// The step.
        step: String,
        /// The name.
        name: String,
    },
    /// A step's address cannot be used.
    #[error(
        "step `{step}`: address `{url}` does not start with http:// and a host; other schemes are not supported"
    )]
    Url {
        /// The step.
        step: String,
        /// The address, as far as it is known.
        url: String,
    },
    /// A header has a name or value that HTTP does not allow.
    #[error("step `{step}`: header `{header}` has a name or value that HTTP does not allow")]
    Header {
        /// The step.
        step: String,
        /// The header's name.
        header: String,
    },
    /// A thread or its event loop could not be started; a later try may help.
    #[error(
        "a thread of the generator could not be started: {0}; free threads or file descriptors and try again"
    )]
    Thread(#[source] std::io::Error),
    /// A thread of the generator panicked: a fault of the generator or of the recorder.
    #[error("a thread of the generator panicked; its figures are lost, see stderr")]
    Panicked,
}
