use std::collections::HashMap;

use krafka::Kafka;
use krafka::admin::{
    AlterConsumerGroupOffsetsOptions, ListConsumerGroupOffsetsOptions, ListOffsetsOptions, OffsetSpec,
    TopicPartition,
};
use krafka::error::{ErrorCode, KrafkaError};
use steadfast_core::transport::Error;

use super::error::map;
use super::{Config, connection};

/// Lets a group that has never received begin after the newest event, by committing where each partition ends now.
/// A partition that is added later is received from its oldest event, so that none is missed.
///
/// A group that has committed anything, or has members, is left where it is.
pub(super) async fn start_at_new(kafka: &Kafka, config: &Config, group: &str) -> Result<(), Error> {
    begin(kafka, config, group).await.map_err(|error| map(&error))
}

async fn begin(kafka: &Kafka, config: &Config, group: &str) -> Result<(), KrafkaError> {
    let (admin, answer_within) = (kafka.admin(), config.answer_within.0);
    let places: Vec<TopicPartition> = connection::partitions(kafka, config)
        .await?
        .into_iter()
        .map(|partition| TopicPartition::new(config.topic.clone(), partition))
        .collect();

    let options = ListOffsetsOptions::default().timeout(answer_within);
    let asked = places.iter().map(|place| (place.clone(), OffsetSpec::Latest));
    let ends: HashMap<TopicPartition, i64> = admin
        .list_offsets(asked, options)
        .await?
        .into_iter()
        .map(|(place, end)| Ok((place, end?.offset)))
        .collect::<Result<_, KrafkaError>>()?;

    // Asked for last, so that little time passes between looking and committing.
    let options = ListConsumerGroupOffsetsOptions::default().partitions(places).timeout(answer_within);
    let known = match admin.list_consumer_group_offsets(group, options).await {
        Ok(known) => known,
        Err(KrafkaError::Broker { code: ErrorCode::GroupIdNotFound, .. }) => HashMap::new(),
        Err(error) => return Err(error),
    };
    if known.values().any(|offset| offset.as_ref().is_ok_and(|offset| offset.offset.is_some())) {
        return Ok(());
    }
    let options = AlterConsumerGroupOffsetsOptions::default().timeout(answer_within);
    for committed in admin.alter_consumer_group_offsets(group, ends, options).await?.into_values() {
        match committed {
            // The group has members: it has begun.
            Err(KrafkaError::Broker {
                code:
                    ErrorCode::UnknownMemberId
                    | ErrorCode::IllegalGeneration
                    | ErrorCode::StaleMemberEpoch
                    | ErrorCode::NonEmptyGroup
                    | ErrorCode::RebalanceInProgress,
                ..
            })
            | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
