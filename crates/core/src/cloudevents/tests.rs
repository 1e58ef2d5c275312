use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use steadfast_base::TraceContext;

use super::*;
use crate::{Event, EventId};

const RECEIVED: SystemTime = UNIX_EPOCH;

fn text() -> impl Strategy<Value = String> {
    "[ -~äöü€😀]{1,12}"
}

fn data() -> impl Strategy<Value = (Option<String>, Bytes)> {
    let json = any::<(Vec<i64>, String)>().prop_map(|value| {
        (Some("application/json".to_owned()), serde_json::to_vec(&value).expect("JSON").into())
    });
    let kinds = ["application/json", "application/x+JSON; v=1", "text/plain", "application/octet-stream"];
    let kind = option::of(proptest::sample::select(kinds.map(str::to_owned).to_vec()));
    let bytes = prop_oneof![vec(any::<u8>(), 0..20), ".{0,20}".prop_map(String::into_bytes)];
    // White space around JSON is not kept, which is said in the module's documentation.
    let any = (kind, bytes.prop_map(|bytes| Bytes::from(bytes.trim_ascii().to_vec())));
    prop_oneof![json, any]
}

prop_compose! {
    fn event()(
        id in any::<u128>(), source in text(), kind in text(), subject in option::of(text()),
        seconds in 0_i64..250_000_000_000, nanos in 0_u32..1_000_000_000, (content_type, data) in data(),
        schema in option::of(text()), mut extensions in btree_map("x[a-z0-9]{1,10}", "[ -~ä]{0,9}", 0..4),
        trace in option::of((1_u128.., 1_u64.., any::<u8>())), foreign in option::of(text()),
    ) -> Event {
        let mut id = EventId::from_u128(id);
        if let Some(foreign) = foreign {
            id = foreign_id(&source, &foreign);
            extensions.insert(FOREIGN_ID.to_owned(), foreign);
        }
        let time = UNIX_EPOCH + Duration::new(seconds as u64, nanos);
        let mut event = Event::restore(id, source, kind, time).bytes(data);
        event.subject = subject.map(Into::into);
        event.content_type = content_type.map(Into::into);
        event.set_data_schema(schema.map(Into::into));
        event.set_extensions(extensions);
        event.set_trace(trace.map(|(trace, span, flags)| {
            TraceContext::new(trace, span, true).expect("not zero").with_flags(flags)
        }));
        event
    }
}

proptest! {
    #[test]
    fn attributes_survive_the_way_and_back(event in event()) {
        let attributes: Vec<(&str, Cow<'_, str>)> = attributes(&event)?.collect();
        let pairs = attributes.iter().map(|(name, value)| (*name, value.as_ref()));
        prop_assert_eq!(from_attributes(pairs, event.data().clone(), RECEIVED)?, event);
    }

    #[test]
    fn json_survives_the_way_and_back(event in event()) {
        let json = to_json(&event)?;
        let _: serde_json::Value = serde_json::from_slice(&json)?;
        prop_assert_eq!(from_json(&json, RECEIVED)?, event);
    }

    #[test]
    fn batches_survive_the_way_and_back(events in vec(event(), 0..5)) {
        let json = to_json_batch(&events)?;
        prop_assert_eq!(from_json_batch(&json, 5, RECEIVED)?, events);
    }

    #[test]
    fn no_input_makes_it_panic(json in "[\\[{]?(\"(id|data|time|source)\":?|[0-9a\",:\\[\\]{}])*") {
        let _ = (from_json(json.as_bytes(), RECEIVED), from_json_batch(json.as_bytes(), 3, RECEIVED));
    }
}

const LEAST: &str = r#""specversion":"1.0","id":"A-17","source":"/s","type":"t""#;

fn read(members: &str) -> Result<Event, Error> {
    from_json(format!("{{{LEAST}{members}}}").as_bytes(), RECEIVED)
}

#[test]
fn an_id_that_is_no_uuid_is_kept_and_written_again() {
    let event = read("").expect("an event");
    assert_eq!((event.id(), event.time()), (foreign_id("/s", "A-17"), RECEIVED));
    assert_eq!(event.extensions().get(FOREIGN_ID).map(String::as_str), Some("A-17"));
    // Computed by Python's `hashlib`: identities that were derived must stay what they are.
    assert_eq!(event.id().to_string(), "11ab182c-92b5-5617-aa86-8e843cba5dc4");
    let written: Vec<_> = attributes(&event).expect("valid").collect();
    assert_eq!(written[1], ("id", Cow::Borrowed("A-17")));
    assert!(!written.iter().any(|(name, _)| *name == FOREIGN_ID));

    // Other writings of a UUID are foreign too, for they could not be written again as they were.
    let upper = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8";
    let pairs = [("specversion", "1.0"), ("id", upper), ("source", "/s"), ("type", "t")];
    let event = from_attributes(pairs, "", RECEIVED).expect("an event");
    assert_eq!(event.id(), foreign_id("/s", upper));
    let lower = upper.to_lowercase();
    let pairs = [("specversion", "1.0"), ("id", lower.as_str()), ("source", "/s"), ("type", "t")];
    let event = from_attributes(pairs, "", RECEIVED).expect("an event");
    assert_eq!((event.id().to_string(), event.extensions().len()), (lower, 0));

    assert_eq!(read(r#","foreignid":"x""#), Err(Error::Name { name: FOREIGN_ID.to_owned() }));
    assert_ne!(foreign_id("ab", "c"), foreign_id("a", "bc"));
}

#[test]
fn the_examples_of_the_specification_are_read() {
    // Section 3.2 of the JSON format.
    let binary = r#"{"specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext",
        "id": "A234-1234-1234", "time": "2018-04-05T17:31:00Z", "comexampleextension1": "value",
        "comexampleothervalue": 5, "unset": null, "datacontenttype": "application/vnd.apache.thrift.binary",
        "data_base64": "AAEC"}"#;
    let event = from_json(binary.as_bytes(), RECEIVED).expect("an event");
    assert_eq!(
        (event.kind(), event.source(), &event.data()[..]),
        ("com.example.someevent", "/mycontext", &[0, 1, 2][..])
    );
    assert_eq!(event.extensions()["comexampleothervalue"], "5");
    assert!(!event.extensions().contains_key("unset"));
    let json = read(r#","data": {"appinfoA": "abc", "appinfoB": 123}"#).expect("an event");
    assert_eq!(json.content_type(), Some("application/json"));
    assert_eq!(&json.data()[..], br#"{"appinfoA": "abc", "appinfoB": 123}"#);
    let text = read(r#","datacontenttype":"text/plain","data":"a\nb""#).expect("an event");
    assert_eq!(&text.data()[..], b"a\nb");
    let json = read(r#","datacontenttype":"text/json","data":"a""#).expect("an event");
    assert_eq!(&json.data()[..], br#""a""#);
    assert_eq!(read(r#","data":null"#).expect("an event").content_type(), None);
}

#[test]
fn what_is_wrong_is_named() {
    let invalid = |attribute: &str, problem| Error::invalid(attribute, problem);
    let twice = |attribute: &str| Error::Twice { attribute: attribute.to_owned() };
    let name = |name: &str| Error::Name { name: name.to_owned() };
    for (members, error) in [
        (r#","id":"x""#, twice("id")),
        (r#","xa":"1","xa":"2""#, twice("xa")),
        (r#","data":1,"data_base64":"""#, twice("data")),
        (r#","time":"yesterday""#, invalid("time", "is not a time of RFC 3339")),
        (r#","subject":"""#, invalid("subject", "is empty")),
        (
            r#","subject":[]"#,
            invalid("subject", "is neither a string nor a boolean nor an integer of 32 bits"),
        ),
        (r#","x":1.5"#, invalid("x", "is neither a string nor a boolean nor an integer of 32 bits")),
        (r#","x":2147483648"#, invalid("x", "is neither a string nor a boolean nor an integer of 32 bits")),
        (r#","x":"\u0000""#, invalid("x", "has a control character or a noncharacter")),
        (r#","x":"\uFFFE""#, invalid("x", "has a control character or a noncharacter")),
        (r#","X":"y""#, name("X")),
        (r#","my-name":"y""#, name("my-name")),
        (r#","":"y""#, name("")),
        (r#","data_base64":"?""#, invalid("data_base64", "is not Base64")),
        (r#","data_base64":5"#, invalid("data_base64", "is not a string")),
        (
            r#","datacontenttype":"text/plain","data":5"#,
            invalid("data", "is not a string, though its media type is not JSON"),
        ),
    ] {
        assert_eq!(read(members), Err(error), "{members}");
    }
    for missing in ["specversion", "id", "source", "type"] {
        let pairs = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
        let found = from_attributes(pairs.into_iter().filter(|(name, _)| *name != missing), "", RECEIVED);
        assert_eq!(found, Err(Error::Missing { attribute: missing }));
        let found = from_attributes(
            pairs.into_iter().map(|(name, value)| (name, if name == missing { "" } else { value })),
            "",
            RECEIVED,
        );
        assert!(found.is_err());
    }
    for version in ["0.3", "1.0.2", "2.0", "1"] {
        assert_eq!(Assembly::new().set("specversion", version), Err(Error::UnsupportedVersion));
    }
    for bad in ["", "null", "[]", "\"\"", "{", "{}x"] {
        assert!(from_json(bad.as_bytes(), RECEIVED).is_err(), "{bad}");
    }
}

#[test]
fn a_batch_is_bounded_and_names_the_event_that_is_wrong() {
    let event = format!("{{{LEAST}}}");
    let batch = |events: &[&str]| format!("[{}]", events.join(","));
    let three = batch(&[&event, &event, &event]);
    assert_eq!(from_json_batch(three.as_bytes(), 2, RECEIVED), Err(Error::BatchTooLong { max: 2 }));
    assert_eq!(from_json_batch(three.as_bytes(), 3, RECEIVED).map(|events| events.len()), Ok(3));
    assert_eq!(from_json_batch(b"[]", 0, RECEIVED), Ok(Vec::new()));
    let wrong = batch(&[&event, r#"{"specversion":"1.0"}"#]);
    let error = from_json_batch(wrong.as_bytes(), 9, RECEIVED).expect_err("wrong");
    assert_eq!(error.to_string(), "event 1 of the batch: attribute `id` is missing");
    for bad in ["", "{}", "[", "[1]", "[]x"] {
        let found = from_json_batch(bad.as_bytes(), 9, RECEIVED);
        assert!(matches!(found, Err(Error::Json { .. })), "{bad}: {found:?}");
    }
}

#[test]
fn an_event_that_cloudevents_forbids_is_not_written() {
    let event = || Event::new("/s", "t");
    for (bad, name) in [
        (event().extension("Upper", "x").build(), "Upper"),
        (event().extension("id", "x").build(), "id"),
        (event().extension("data", "x").build(), "data"),
        (event().extension("nl", "a\nb").build(), "nl"),
        (event().subject("").build(), "subject"),
        (Event::new("", "t").build(), "source"),
        (Event::new("/s", "").build(), "type"),
    ] {
        let error = attributes(&bad).expect_err(name).to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
        assert!(to_json(&bad).is_err());
    }
}
