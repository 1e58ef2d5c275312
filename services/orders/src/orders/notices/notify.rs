use std::convert::Infallible;
use std::sync::Arc;

use steadfast::core::Event;
use steadfast::core::delivery::Delivery;
use steadfast::core::inbox::Effect;

use crate::orders::log::{self, NOTICE_SENT};

/// What a shipment leads to: one notice, in the stream of the order's notices, which names the command that shipped the
/// order.
pub(super) async fn notify(delivery: Delivery<Event>) -> Result<Effect, Infallible> {
    Ok(effect_of(delivery.payload()))
}

fn effect_of(shipped: &Event) -> Effect {
    let Some(order) = shipped.subject() else { return Effect::none() };
    let mut notice = Event::new("/orders/notices", NOTICE_SENT).subject(order);
    if let Some(command) = log::command_id(shipped) {
        notice = notice.extension(log::COMMAND_ID, command);
    }
    if let Some(trace) = shipped.trace() {
        notice = notice.trace(trace);
    }
    Effect::to_stream(notice_stream(order), [notice.build()])
}

fn notice_stream(order: &str) -> Arc<str> {
    format!("notice-{order}").into()
}
