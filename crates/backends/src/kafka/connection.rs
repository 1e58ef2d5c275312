use std::time::Duration;

use krafka::Kafka;
use krafka::admin::{
    ConfigResource, CreateTopicsOptions, DescribeConfigsOptions, DescribeTopicsOptions, NewTopic,
    TopicDescription,
};
use krafka::error::{ErrorCode, KrafkaError};
use steadfast_base::{Backoff, Classify, Rng};
use steadfast_core::transport::Error;
use tokio::time::{Instant, timeout_at};

use super::config::misconfigured;
use super::error::{map, unavailable};
use super::{Config, SYSTEM};

const MIN_INSYNC: &str = "min.insync.replicas";

/// Connects, trying until `until`, and makes sure that the topic is there and is what the configuration says.
///
/// # Errors
/// [`Error::Unavailable`] with the last failure once `until` has passed; what waiting cannot mend at once.
pub(super) async fn connect(config: &Config, until: Instant, rng: &mut Rng) -> Result<Kafka, Error> {
    let mut last = unavailable("no broker has answered yet");
    for attempt in 0.. {
        match timeout_at(until, connect_once(config)).await {
            Ok(Ok(kafka)) => return Ok(kafka),
            Ok(Err(error)) if error.classify().is_retryable() => last = error,
            Ok(Err(error)) => return Err(error),
            Err(_) => break,
        }
        let wait = Backoff::default().delay(attempt, rng);
        if timeout_at(until, tokio::time::sleep(wait)).await.is_err() {
            break;
        }
    }
    Err(last)
}

async fn connect_once(config: &Config) -> Result<Kafka, Error> {
    let answer_within = config.answer_within.0;
    let kafka = Kafka::builder(config.brokers.join(","))
        .client_id(&config.client_id)
        .security(config.security())
        .request_timeout(answer_within)
        .connect_timeout(answer_within)
        // A connection that is left alone is not a lost one.
        .connections_max_idle(None)
        .metadata_topic_cache_ttl(None)
        .connect()
        .await
        .map_err(|error| map(&error))?;
    let partitions = partitions(&kafka, config).await;
    match (partitions, config.create) {
        (Ok(_), _) => {}
        (Err(error), Some(_)) if is_missing(&error) => create(&kafka, config).await?,
        (Err(error), None) if is_missing(&error) => {
            return Err(misconfigured("topic", "the topic does not exist: create it, or configure `create`"));
        }
        (Err(error), _) => return Err(map(&error)),
    }
    if config.replicas_min >= 2 {
        check_replicas(&kafka, config).await?;
    }
    Ok(kafka)
}

/// Returns the numbers of the topic's partitions.
pub(super) async fn partitions(kafka: &Kafka, config: &Config) -> Result<Vec<i32>, KrafkaError> {
    let topic = describe(kafka, config).await?;
    Ok(topic.partitions.iter().map(|partition| partition.partition).collect())
}

async fn describe(kafka: &Kafka, config: &Config) -> Result<TopicDescription, KrafkaError> {
    let options = DescribeTopicsOptions::default().timeout(config.answer_within.0);
    let mut topics = kafka.admin().describe_topics([&config.topic], options).await?;
    let missing = || Err(KrafkaError::unknown_topic(&config.topic));
    topics.remove(&config.topic).unwrap_or_else(missing)
}

fn is_missing(error: &KrafkaError) -> bool {
    let code = ErrorCode::UnknownTopicOrPartition;
    matches!(error, KrafkaError::UnknownTopic { .. })
        || matches!(error, KrafkaError::Broker { code: said, .. } if *said == code)
}

/// Creates the topic and waits until it can be used.
async fn create(kafka: &Kafka, config: &Config) -> Result<(), Error> {
    let Some(create) = config.create else { return Ok(()) };
    let replicas =
        i16::try_from(create.replicas).map_err(|_| misconfigured("create", "too many replicas"))?;
    let topic = NewTopic::new(&config.topic, i32::from(create.partitions), replicas);
    let topic = topic.map_err(|error| map(&error))?.with_config(MIN_INSYNC, config.replicas_min.to_string());
    let options = CreateTopicsOptions::default().timeout(config.answer_within.0);
    let created = kafka.admin().create_topics([topic], options).await.map_err(|error| map(&error))?;
    for result in created.into_values() {
        match result {
            Err(KrafkaError::Broker { code: ErrorCode::TopicAlreadyExists, .. }) | Ok(()) => {}
            Err(error) => return Err(map(&error)),
        }
    }
    // Brokers learn of a topic a moment later; whoever calls bounds the wait.
    loop {
        match partitions(kafka, config).await {
            Ok(_) => return Ok(()),
            Err(error) if is_missing(&error) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => return Err(map(&error)),
        }
    }
}

/// Checks that the topic is replicated as the configuration says, since more is promised by it. Its setting alone does
/// not tell: Kafka takes it for the number of replicas where that is less.
async fn check_replicas(kafka: &Kafka, config: &Config) -> Result<(), Error> {
    let described = describe(kafka, config).await.map_err(|error| map(&error))?;
    let fewest = described.partitions.iter().map(|partition| partition.replicas.len()).min();
    if let Some(fewest) = fewest.filter(|fewest| *fewest < usize::from(config.replicas_min)) {
        let problem =
            format!("a partition of the topic has {fewest} replicas: add some, or configure {fewest}");
        return Err(misconfigured("replicasMin", &problem));
    }
    let topic = ConfigResource::topic(&config.topic);
    let options = DescribeConfigsOptions::default()
        .config_names(vec![MIN_INSYNC.to_owned()])
        .timeout(config.answer_within.0);
    let configs = kafka.admin().describe_configs([topic], options).await.map_err(|error| map(&error))?;
    let mut said = None;
    for entries in configs.into_values() {
        let entries = entries.map_err(|error| map(&error))?;
        let entry = entries.iter().find(|entry| entry.name == MIN_INSYNC);
        said = said.or(entry.and_then(|entry| entry.config_value().parse::<u16>().ok()));
    }
    match said {
        Some(said) if said >= config.replicas_min => Ok(()),
        Some(said) => {
            let problem = format!("the topic's {MIN_INSYNC} is {said}: raise it, or configure {said}");
            Err(misconfigured("replicasMin", &problem))
        }
        None => Err(Error::Unsupported { system: SYSTEM, what: format!("the topic's {MIN_INSYNC}") }),
    }
}
