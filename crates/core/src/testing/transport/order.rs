use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use steadfast_base::TraceContext;

use super::TransportFactory;
use super::factory::{Mark, event, usual};
use super::tally::{Tally, handle_all, handle_until};
use super::tools::{
    Checked, Feeding, check, check_eq, close, deadline, marks, open, receive, settle, settlements, skip,
    subscribe, within,
};
use crate::Event;
use crate::transport::Outcome;

/// Events of a key arrive in the order in which they were sent, all in that order where it is declared, in pieces
/// of whatever size they are sent and received; and each once, since nothing fails.
///
/// # Errors
/// What the transport got wrong.
pub async fn events_of_a_key_arrive_in_order(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("order", 64)).await?;
    let marks = marks(12, 40);
    let tally = Mutex::new(Tally::new(&opened));
    let feeding = Feeding::start(&opened, &marks, &[1, 7, 64]);
    for (max, enough) in [(1, 20), (3, 100)] {
        handle_until(&*receiver, &tally, max, enough).await?;
    }
    handle_all(&*receiver, &tally, 100, &marks).await?;
    feeding.end().await
}

/// Every attribute of an event and its data arrive as they were sent, also where they are absent, large or not
/// ASCII.
///
/// # Errors
/// What the transport got wrong.
pub async fn attributes_and_data_survive(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let Some(sink) = &opened.sink else { return skip("the source has no sink") };
    let receiver = open(&opened, &subscribe("attributes", 64)).await?;
    let trace = TraceContext::new(7, 9, true).map_err(|error| error.to_string())?;
    let full = Event::new("/orders/é?a=b%20c", "order.created")
        .subject("order 1 \u{1F4E6} \"%\" ")
        .time(SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789))
        .data_schema("https://example.com/schema/1")
        .extension("tenant", "a, b; c=\"d\" \u{e9}")
        .extension("partitionkey", "key 1")
        .trace(trace)
        .data("application/octet-stream", vec![0_u8, 255, 10, 13]);
    let bare = Event::new("/b", "bare").build();
    let old = Event::new("/o", "old").time(SystemTime::UNIX_EPOCH - Duration::new(1, 500_000_000)).build();
    let json = Event::new("/j", "json").json(&serde_json::json!({"a": [1, "\u{1F4E6}"]}));
    let json = json.map_err(|error| error.to_string())?;
    let large = Event::new("/l", "large").data("text/plain; charset=utf-8", vec![b'x'; 128 * 1024]);
    let sent = [full, bare, old, json, large];

    let send = sink.send(&sent, usual(&**sink), deadline());
    let mut received = Vec::new();
    let receive = async {
        while received.len() < sent.len() {
            let events = receive(&*receiver, 10).await?;
            settle(&*receiver, &settlements(&events, Outcome::Handled)).await?;
            received.extend(events.into_iter().map(|received| received.event));
        }
        close(&*receiver).await
    };
    let (sending, receiving) = tokio::join!(within("send", send), receive);
    sending?.map_err(|error| format!("send failed: {error}"))?;
    receiving?;
    for sent in &sent {
        let event = received.iter().find(|event| event.id() == sent.id());
        check(event == Some(sent), || {
            let shorten =
                |event: &dyn std::fmt::Debug| format!("{event:?}").chars().take(700).collect::<String>();
            format!("an event changed: got {}, expected {}", shorten(&event), shorten(sent))
        })?;
    }
    Ok(())
}

/// An event that is sent again with the same id is received once, where that is declared.
///
/// # Errors
/// What the transport got wrong.
pub async fn an_event_sent_twice_is_received_once(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let Some(sink) = &opened.sink else { return skip("the source has no sink") };
    if !sink.capabilities().deduplicates {
        return skip("the transport does not recognise duplicates");
    }
    let receiver = open(&opened, &subscribe("twice", 64)).await?;
    let events: Vec<Event> = (0..3).map(|number| event(&Mark { key: 0, number })).collect();
    let tally = Mutex::new(Tally::new(&opened));
    let feeding = async {
        for part in [&events[..1], &events[..2], &events[1..2], &events[..]] {
            let sent = within("send", sink.send(part, usual(&**sink), deadline())).await?;
            sent.map_err(|error| format!("send of a duplicate failed: {error}"))?;
        }
        Ok::<(), String>(())
    };
    let (fed, handled) = tokio::join!(feeding, handle_until(&*receiver, &tally, 10, events.len()));
    fed.and(handled)?;
    super::tally::check_quiet(&*receiver, &tally, "after an event was sent twice").await?;
    check_eq("events", &tally.lock().handled(), &events.len())
}
