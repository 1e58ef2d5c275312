use std::convert::Infallible;
use std::sync::Arc;

use super::life::Lives;
use crate::Event;
use crate::inbox::{Effect, Inbox, InboxOptions};
use crate::store::{Error, EventStore, Query};
use crate::testing::store::StoreFactory;
use crate::testing::store::tools::{Checked, check_eq, event, read, skip, within};

const EVENTS: usize = 24;

/// Events that come again and again, also after a death amid their effects, have each effect once and in their order.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn an_inbox_gives_each_event_its_effect_once(factory: &mut dyn StoreFactory) -> Checked {
    let mut lives = Lives::begin(factory).await;
    if !lives.store.capabilities().multi_stream {
        return skip("the store appends to one stream at a time");
    }
    let events: Vec<Event> = (0..EVENTS)
        .map(|number| event(&number.to_string()).edit().subject((number % 3).to_string()).build())
        .collect();
    loop {
        let mortal = lives.mortal(8);
        let options = InboxOptions { partitions: 2, window: 100, ..InboxOptions::new("conformance") };
        let inbox = Inbox::new(Arc::clone(&mortal) as Arc<dyn EventStore>, options);
        let inbox = inbox.map_err(|error| format!("making an inbox failed: {error}"))?;
        let life = async {
            // The first ones come again in each life: nobody knows which of them were handled.
            for event in &events {
                let stream = format!("effects-{}", event.subject().unwrap_or_default());
                let effect = || async {
                    let effect = event.clone().edit().id(crate::EventId::generate()).build();
                    Ok::<_, Infallible>(Effect::to_stream(stream.as_str(), [effect]))
                };
                for _ in 0..2 {
                    let once = inbox.once(event, effect).await;
                    once.map_err(|error| format!("an effect failed: {error}"))?;
                }
            }
            Ok::<_, String>(())
        };
        let lived = within("the life of an inbox", mortal.live(life)).await?;
        drop((inbox, mortal));
        lives.next().await?;
        if let Some(lived) = lived {
            lived?;
            break;
        }
    }
    for key in 0..3 {
        let effects = read(&*lives.store, Query::stream(format!("effects-{key}"))).await?;
        let numbers: Vec<&str> = effects.iter().map(|stored| stored.event.kind()).collect();
        let expected: Vec<String> = (key..EVENTS).step_by(3).map(|number| number.to_string()).collect();
        check_eq("effects", &numbers, &expected.iter().map(String::as_str).collect())?;
    }
    let missing = lives.store.revision("effects-").await;
    check_eq("effects of nobody", &missing.map_err(|error: Error| error.to_string())?, &None)
}
