use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response};

use crate::{Failure, LeaseId};

/// The header of an injected answer that names the lease, so that nobody takes it for a real failure.
pub const LEASE_HEADER: HeaderName = HeaderName::from_static("x-steadfast-fault");

/// Returns the answer of a call that fails by the lease `id`.
pub(super) fn answer<RB: Default>(id: &LeaseId, failure: Failure) -> Response<RB> {
    let mut response = Response::new(RB::default());
    let value = |text: &str| HeaderValue::from_str(text).expect("ids and codes are visible ASCII");
    let headers = response.headers_mut();
    headers.insert(LEASE_HEADER, value(id.as_str()));
    match failure {
        Failure::Http(status) => *response.status_mut() = status,
        // A call that fails before its first message is answered by headers alone, whose HTTP status is 200.
        Failure::Grpc(status) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from(u16::from(status.code())));
            headers.insert("grpc-message", value(&format!("injected by fault {id}")));
        }
    }
    response
}
