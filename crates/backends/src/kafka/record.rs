//! Events as records: the Kafka binding of CloudEvents 1.0.2.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use krafka::{ConsumerRecord, Record};
use steadfast_core::transport::Error;
use steadfast_core::{Event, cloudevents};

use super::error::rejected;

/// The type of an event that was made of a record which is no CloudEvent: its data is the record's value, its
/// partition key the record's key (`hex:` and its bytes where it is not UTF-8), its source `kafka://TOPIC`, its identity that of the record's place.
pub const FOREIGN_KIND: &str = "kafka.record";

const CONTENT_TYPE: &str = "content-type";
const PREFIX: &str = "ce_";
const PARTITION_KEY: &str = "partitionkey";

/// Writes an event in binary mode.
pub(super) fn encode(topic: &str, event: &Event, bytes_max: u32) -> Result<Record, Error> {
    let mut record = Record::new(topic, event.data().clone());
    if let Some(key) = event.partition_key() {
        record = record.key(key.to_owned());
    }
    for (name, value) in cloudevents::attributes(event).map_err(|error| rejected(&error))? {
        let value = value.into_owned();
        record = match name {
            "datacontenttype" => record.header(CONTENT_TYPE, value),
            name => record.header(format!("{PREFIX}{name}"), value),
        };
    }
    let bytes = record.estimated_size();
    if bytes > bytes_max as usize {
        let reason = format!("the event {} has {bytes} bytes, at most {bytes_max} are allowed", event.id());
        return Err(rejected(&reason));
    }
    Ok(record)
}

/// Reads a record as an event, whatever it is.
pub(super) fn decode(record: &ConsumerRecord) -> Event {
    let received =
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(record.timestamp).unwrap_or_default());
    let read = read(record, received).map(|event| keyed(event, record));
    read.unwrap_or_else(|error| {
        tracing::debug!(
            topic = %record.topic,
            partition = record.partition,
            offset = record.offset,
            %error,
            "a record is no CloudEvent"
        );
        foreign(record, received)
    })
}

fn read(record: &ConsumerRecord, received: SystemTime) -> Result<Event, cloudevents::Error> {
    let data = record.value.clone().unwrap_or_default();
    let content_type = record.header_str(CONTENT_TYPE);
    if content_type.is_some_and(|content_type| content_type.starts_with(cloudevents::JSON)) {
        return cloudevents::from_json(&data, received);
    }
    let mut assembly = cloudevents::Assembly::new();
    for (name, value) in &record.headers {
        let Some(name) = name.strip_prefix(PREFIX) else { continue };
        let value = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
        let missing = || cloudevents::Error::Invalid { attribute: name.to_owned(), problem: "is not UTF-8" };
        assembly.set(name, value.ok_or_else(missing)?)?;
    }
    if let Some(content_type) = content_type {
        assembly.set("datacontenttype", content_type)?;
    }
    assembly.finish(data, received)
}

/// Returns the record's key as text; one that is not UTF-8 as `hex:` and its bytes.
fn key_of(record: &ConsumerRecord) -> Option<Cow<'_, str>> {
    let bytes = record.key.as_deref().filter(|key| !key.is_empty())?;
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().fold("hex:".to_owned(), |hex, byte| hex + &format!("{byte:02x}")).into(),
    })
}

/// Gives an event the key of its record, by which Kafka keeps order, where its sender has written it nowhere else.
fn keyed(event: Event, record: &ConsumerRecord) -> Event {
    let Some(key) = key_of(record).filter(|key| event.partition_key() != Some(key)) else { return event };
    if event.extensions().contains_key(PARTITION_KEY) {
        return event;
    }
    let mut keyed = Event::restore(event.id(), event.source(), event.kind(), event.time());
    if let Some(subject) = event.subject() {
        keyed = keyed.subject(subject);
    }
    if let Some(content_type) = event.content_type() {
        keyed = keyed.content_type(content_type);
    }
    if let Some(schema) = event.data_schema() {
        keyed = keyed.data_schema(schema);
    }
    if let Some(trace) = event.trace() {
        keyed = keyed.trace(trace);
    }
    for (name, value) in event.extensions() {
        keyed = keyed.extension(name, value);
    }
    keyed.extension(PARTITION_KEY, key).bytes(event.data().clone())
}

fn foreign(record: &ConsumerRecord, received: SystemTime) -> Event {
    let source = format!("kafka://{}", record.topic);
    let place = format!("{}/{}", record.partition, record.offset);
    let id = cloudevents::foreign_id(&source, &place);
    let mut event = Event::restore(id, source, FOREIGN_KIND, received);
    if let Some(key) = key_of(record) {
        event = event.extension(PARTITION_KEY, key);
    }
    event.bytes(record.value.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arrived(record: Record) -> ConsumerRecord {
        let mut arrived = ConsumerRecord::new(record.topic.as_str(), 3, 17, record.key, record.value);
        arrived.headers = record.headers;
        arrived.timestamp = 1000;
        arrived
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            subject in proptest::option::of("[a-zé%\" ]{1,20}"),
            key in proptest::option::of("[a-z]{1,8}"),
            data in proptest::collection::vec(any::<u8>(), 0..100),
            seconds in 0_u64..4_000_000_000,
        ) {
            let mut event = Event::new("/orders", "order.created").time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            if let Some(subject) = &subject {
                event = event.subject(subject.as_str());
            }
            if let Some(key) = &key {
                event = event.extension("partitionkey", key);
            }
            let event = event.data("application/octet-stream", data);
            let record = encode("t", &event, 1 << 20).expect("it is valid");
            prop_assert_eq!(record.key_str(), key.as_deref().or(subject.as_deref()));
            prop_assert_eq!(decode(&arrived(record)), event);
        }
    }

    #[test]
    fn names_are_those_of_the_binding() {
        let event = Event::new("/orders", "order.created").data("text/plain", "x");
        let record = encode("t", &event, 1 << 20).expect("it is valid");
        let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"]);
    }

    #[test]
    fn structured_mode_is_read() {
        let event = Event::new("/orders", "order.created").subject("o").json(&[1]).expect("numbers are JSON");
        let json = cloudevents::to_json(&event).expect("it is valid");
        let record =
            Record::new("t", json).header(CONTENT_TYPE, format!("{}; charset=UTF-8", cloudevents::JSON));
        assert_eq!(decode(&arrived(record)), event);
    }

    #[test]
    fn what_is_no_event_becomes_one() {
        let event = decode(&arrived(Record::new("t", "plain").key("k")));
        assert_eq!(
            (event.kind(), event.source(), event.partition_key()),
            (FOREIGN_KIND, "kafka://t", Some("k"))
        );
        assert_eq!(&event.data()[..], b"plain");
        assert_eq!(
            event.id(),
            decode(&arrived(Record::new("t", "plain").key("k"))).id(),
            "the place decides"
        );
        let broken = Record::new("t", "x").header("ce_specversion", "1.0").header("ce_id", vec![0xff_u8]);
        assert_eq!(decode(&arrived(broken)).kind(), FOREIGN_KIND);
    }

    #[test]
    fn the_key_that_kafka_orders_by_is_kept() {
        let event = Event::new("/orders", "order.created").subject("o").json(&[1]).expect("numbers are JSON");
        let with_key = |record: Record, key: &[u8]| arrived(record.key(key.to_vec()));
        let binary = encode("t", &event, 1 << 20).expect("it is valid");
        let json = cloudevents::to_json(&event).expect("it is valid");
        let structured = Record::new("t", json).header(CONTENT_TYPE, cloudevents::JSON);
        for record in [binary, structured] {
            assert_eq!(decode(&with_key(record.clone(), b"o")), event, "the subject says it already");
            let other = decode(&with_key(record.clone(), b"customer-7"));
            assert_eq!((other.partition_key(), other.subject()), (Some("customer-7"), Some("o")));
            assert_eq!(
                (other.id(), other.data(), other.content_type()),
                (event.id(), event.data(), event.content_type())
            );
            assert_eq!(decode(&with_key(record, b"\xff\x00")).partition_key(), Some("hex:ff00"));
        }
        assert_eq!(decode(&with_key(Record::new("t", "x"), &[0xff, 7])).partition_key(), Some("hex:ff07"));
        let keyed = Event::new("/orders", "order.created").extension(PARTITION_KEY, "own").build();
        let keyed = encode("t", &keyed, 1 << 20).expect("it is valid");
        assert_eq!(decode(&with_key(keyed, b"other")).partition_key(), Some("own"));
    }

    #[test]
    fn an_event_too_large_is_refused() {
        let event = Event::new("/orders", "order.created").bytes(vec![0; 2000]);
        assert!(matches!(encode("t", &event, 1024), Err(Error::Rejected { .. })));
    }
}
