use std::collections::VecDeque;

use tokio::time::Instant;

/// After how many messages the clock is read, even if nothing else calls for it.
const EVERY: u64 = 64;

/// Since when the oldest message of a lane waits, without a look at the clock for each message.
///
/// The clock is read when a message enters an empty lane, for every 64th one, and when some are taken and others
/// stay. A message that entered in between counts from the reading before: it looks older than it is, by no more
/// than the time of 64 messages or the time between two looks of its consumer.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// How many messages have entered.
    entered: u64,
    /// From which message on, and when the clock was read; the first one holds for the oldest message.
    marks: VecDeque<(u64, Instant)>,
}

impl Ages {
    /// Notes a message that comes behind `waiting` others.
    #[inline]
    pub(super) fn entered(&mut self, waiting: usize) {
        if waiting == 0 || self.entered.is_multiple_of(EVERY) {
            self.mark(waiting);
        }
        self.entered += 1;
    }

    /// Notes that messages were taken and `waiting` others stay.
    #[inline]
    pub(super) fn left(&mut self, waiting: usize) {
        if waiting == 0 {
            self.marks.clear();
        } else {
            self.mark(waiting);
        }
    }

    /// Since when the oldest message waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.marks.front().map(|(_, since)| *since)
    }

    fn mark(&mut self, waiting: usize) {
        let now = Instant::now();
        match self.marks.back_mut() {
            // No message has entered since that reading.
            Some((from, since)) if *from == self.entered => *since = now,
            _ => self.marks.push_back((self.entered, now)),
        }
        let oldest = self.entered - waiting as u64;
        while self.marks.get(1).is_some_and(|(from, _)| *from <= oldest) {
            self.marks.pop_front();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_age_is_never_too_small_and_hardly_too_great() {
        let (start, mut ages) = (Instant::now(), Ages::default());
        let mut waiting = VecDeque::new();
        let second = || tokio::time::advance(Duration::from_secs(1));
        for round in 0..1_000_usize {
            second().await;
            ages.entered(waiting.len());
            waiting.push_back(Instant::now());
            if round % 7 == 0 && round % 70 > 20 {
                let count = waiting.len().min(round % 16);
                waiting.drain(..count);
                ages.left(waiting.len());
            }
            let oldest = ages.oldest();
            assert_eq!(oldest.is_some(), !waiting.is_empty());
            if let (Some(told), Some(real)) = (oldest, waiting.front()) {
                assert!(told <= *real && told >= start && *real - told <= Duration::from_secs(64), "{round}");
            }
            assert!(ages.marks.len() <= waiting.len() + 1);
        }
    }
}
