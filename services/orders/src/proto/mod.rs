//! The wire contracts of `payment` and `inventory`, generated from `proto/`.

/// `payment.v1`.
pub mod payment {
    #![allow(missing_docs, clippy::all, reason = "generated")]
    tonic::include_proto!("payment.v1");
}

/// `inventory.v1`.
pub mod inventory {
    #![allow(missing_docs, clippy::all, reason = "generated")]
    tonic::include_proto!("inventory.v1");
}
