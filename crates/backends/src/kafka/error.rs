//! What an error of the driver means to whoever called.

use krafka::error::{ErrorCode, KrafkaError, ProtocolErrorKind};
use steadfast_core::transport::Error;

use super::SYSTEM;

pub(super) fn unavailable(reason: &(impl ToString + ?Sized)) -> Error {
    Error::Unavailable { system: SYSTEM, reason: reason.to_string() }
}

pub(super) fn rejected(reason: &(impl ToString + ?Sized)) -> Error {
    Error::Rejected { system: SYSTEM, reason: reason.to_string() }
}

pub(super) fn map(error: &KrafkaError) -> Error {
    let reason = error.to_string();
    match error {
        KrafkaError::Auth { .. } => Error::Denied { system: SYSTEM, reason },
        KrafkaError::Config { .. } => {
            Error::Configuration { system: SYSTEM, field: "brokers, tls or sasl", problem: reason }
        }
        KrafkaError::Protocol { kind: ProtocolErrorKind::UnknownApiVersion, .. } => {
            Error::Unsupported { system: SYSTEM, what: format!("what Kafka 4.0 does: {reason}") }
        }
        KrafkaError::Broker { code, .. } => by_code(*code, reason),
        KrafkaError::Serialization { .. } | KrafkaError::Compression { .. } => rejected(&reason),
        KrafkaError::Protocol { kind, .. } if !kind.is_retriable() => rejected(&reason),
        // What is left is lost connections, late answers, and producers and members that are made anew.
        _ => unavailable(&reason),
    }
}

fn by_code(code: ErrorCode, reason: String) -> Error {
    match code {
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed
        | ErrorCode::TransactionalIdAuthorizationFailed
        | ErrorCode::SaslAuthenticationFailed
        | ErrorCode::UnsupportedSaslMechanism
        | ErrorCode::IllegalSaslState
        | ErrorCode::SecurityDisabled => Error::Denied { system: SYSTEM, reason },
        ErrorCode::MessageTooLarge
        | ErrorCode::RecordListTooLarge
        | ErrorCode::InvalidRecord
        | ErrorCode::InvalidTimestamp
        | ErrorCode::InvalidTopic
        | ErrorCode::InvalidGroupId
        | ErrorCode::InvalidRequest
        | ErrorCode::PolicyViolation
        | ErrorCode::InvalidPartitions
        | ErrorCode::InvalidReplicationFactor
        | ErrorCode::InvalidConfig => rejected(&reason),
        ErrorCode::ThrottlingQuotaExceeded => Error::Overloaded { system: SYSTEM, retry_after: None },
        ErrorCode::UnsupportedVersion => Error::Unsupported { system: SYSTEM, what: reason },
        _ => unavailable(&reason),
    }
}

#[cfg(test)]
mod tests {
    use steadfast_base::Classify;

    use super::*;

    #[test]
    fn what_cannot_be_mended_by_waiting_is_permanent() {
        let retryable = |error: KrafkaError| map(&error).classify().is_retryable();
        let broker = |code| KrafkaError::broker(code, "said so");
        assert!(retryable(KrafkaError::timeout("fetch")) && retryable(broker(ErrorCode::StaleMemberEpoch)));
        assert!(retryable(broker(ErrorCode::NotEnoughReplicas)));
        assert!(!retryable(KrafkaError::auth("no")) && !retryable(broker(ErrorCode::MessageTooLarge)));
        assert!(!retryable(broker(ErrorCode::TopicAuthorizationFailed)));
    }
}
