use steadfast::core::repository::{Error, LoadError};
use tonic::Status;

use crate::host::store_status;

/// Says in gRPC's words why a command was not carried out; `refused` does so where the aggregate refuses it.
pub fn status<E>(error: Error<E>, refused: impl FnOnce(E) -> Status) -> Status {
    match error {
        Error::Refused(why) => refused(why),
        Error::Crowded { .. } => Status::resource_exhausted("too many requests for one key"),
        Error::Contended { .. } => Status::resource_exhausted("others were sooner each time"),
        Error::Store(error) | Error::Load(LoadError::Store(error)) => store_status(&error),
        Error::Load(LoadError::NotDecoded { stream, revision, source, .. }) => {
            tracing::error!(%stream, %revision, error = %source, "the log holds an event that cannot be read");
            Status::unavailable("the event log cannot be read")
        }
        _ => Status::internal("the command could not be carried out"),
    }
}
