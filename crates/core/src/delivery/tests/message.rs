//! What a message knows of its payload.

use std::sync::Arc;

use crate::Event;
use crate::delivery::Message;

#[test]
fn an_event_brings_its_keys_however_it_is_published() {
    let event = Event::new("/orders", "order.created").subject("order-1").build();
    let id = event.id().to_string();
    let shared = Arc::new(event.clone());
    let of_shared: Message<Arc<Event>> = shared.into();
    for message in [event.clone().into(), Message::new(event.clone()), Message::of_event(event.clone())] {
        for about in [message.about(), of_shared.about()] {
            assert_eq!(about.partition_key.as_deref(), Some("order-1"));
            assert_eq!(
                (about.key.as_deref(), about.operation.as_deref()),
                (Some(&*id), Some("order.created"))
            );
        }
    }
    let elsewhere = Message::new(event).partition_key("tenant-1");
    assert_eq!(elsewhere.about().partition_key.as_deref(), Some("tenant-1"));
    assert_eq!(Message::new(7_u32).about().partition_key, None);
}
