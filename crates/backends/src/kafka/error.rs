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

/// Does as [`map`] for what a poll failed with: records that cannot be decoded will not be by trying again.
pub(super) fn map_poll(error: &KrafkaError) -> Error {
    let reason = error.to_string();
    // The driver has no kind of its own for it.
    if matches!(error, KrafkaError::Protocol { .. }) && reason.contains("undecodable record batch") {
        let mend = "to go on without it, stop the group and move its offset (`kafka-consumer-groups.sh --reset-offsets`)";
        return rejected(&format!("{reason}; {mend}"));
    }
    map(error)
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
    fn records_that_cannot_be_decoded_are_told_and_not_tried_for_ever() {
        let broken = "undecodable record batch at t-3 offset 17";
        for kind in [ProtocolErrorKind::Malformed, ProtocolErrorKind::CrcMismatch] {
            let error = map_poll(&KrafkaError::protocol_kind(kind, broken));
            assert!(
                !error.classify().is_retryable() && error.to_string().contains("--reset-offsets"),
                "{error}"
            );
        }
        let cut =
            map_poll(&KrafkaError::protocol_kind(ProtocolErrorKind::TruncatedFrame, "a frame ends early"));
        assert!(cut.classify().is_retryable(), "{cut}");
    }

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
