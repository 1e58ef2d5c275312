//! Channels as a pool that is supervised.

use std::sync::atomic::Ordering;

use ::tonic::transport::Channel;
use ::tonic::{Code, Status as Answer};
use ::tonic_health::pb::HealthCheckRequest;
use ::tonic_health::pb::health_check_response::ServingStatus;
use ::tonic_health::pb::health_client::HealthClient;
use steadfast_guard::pool_health::{Borrowed, Pool, Status};

use super::Channels;

/// Why a channel does not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The server cannot be reached. Repeating can help; look at the address and at the network.
    #[error("the server cannot be reached: {0}")]
    Connect(#[from] ::tonic::transport::Error),
    /// The health call failed. Repeating can help.
    #[error("the health call failed: {0}")]
    Failed(#[from] Answer),
    /// The server answers, and says that it does not serve. Repeating can help once it does.
    #[error("the server says of itself: {0}")]
    NotServing(&'static str),
}

/// A channel that a supervisor looks at.
#[derive(Debug)]
pub struct Checked {
    channel: Channel,
    /// Its place among the channels, and how often what is there was replaced; none for one beside them.
    place: Option<(usize, u64)>,
}

/// Calls share channels, so none is ever in use and nobody waits for one.
impl Pool for Channels {
    type Connection = Checked;
    type Error = CheckError;

    fn status(&self) -> Status {
        let size = self.size();
        Status { size, idle: size, ..Status::default() }
    }

    async fn borrow_idle(&self) -> Borrowed<Checked> {
        let turn = self.shared.next_checked.fetch_add(1, Ordering::Relaxed);
        let (channel, place, generation) = self.at(turn);
        Borrowed::new(Some(Checked { channel, place: Some((place, generation)) }), 0)
    }

    async fn check(&self, checked: &mut Checked) -> Result<(), CheckError> {
        let request = HealthCheckRequest { service: (*self.shared.service).to_owned() };
        match HealthClient::new(checked.channel.clone()).check(request).await {
            Ok(answer) => match answer.into_inner().status() {
                ServingStatus::Serving => Ok(()),
                status => Err(CheckError::NotServing(status.as_str_name())),
            },
            // A server without that service, or that does not know ours, answers too.
            Err(answer) if matches!(answer.code(), Code::Unimplemented | Code::NotFound) => Ok(()),
            Err(answer) => Err(answer.into()),
        }
    }

    fn evict(&self, checked: Checked) {
        if let Some((place, generation)) = checked.place {
            self.replace(place, generation);
        }
    }

    async fn connect(&self) -> Result<Checked, CheckError> {
        let channel = self.shared.endpoint.connect().await?;
        Ok(Checked { channel, place: None })
    }
}
