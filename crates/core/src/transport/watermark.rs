use std::collections::VecDeque;

/// Up to where everything is handled, for a transport that can only say "all before this one": it takes events in
/// their order, hears in any order that they are handled, and knows the last position with nothing unhandled before
/// it.
///
/// # Examples
/// ```
/// use steadfast_core::transport::Watermark;
///
/// let mut watermark = Watermark::new();
/// let (a, b) = (watermark.begin(10), watermark.begin(11));
/// assert_eq!(watermark.finish(b), None, "the first is not handled yet");
/// assert_eq!(watermark.finish(a), Some(11));
/// ```
#[derive(Debug, Clone)]
pub struct Watermark<P> {
    first: u64,
    /// One per event from `first` on: its position, and whether it is handled.
    events: VecDeque<(P, bool)>,
}

impl<P: Clone> Watermark<P> {
    /// Makes a watermark with nothing in flight.
    pub fn new() -> Self {
        Self { first: 0, events: VecDeque::new() }
    }

    /// Takes the next event, which stands at `position`, and returns what to finish it by.
    pub fn begin(&mut self, position: P) -> u64 {
        self.events.push_back((position, false));
        self.first + self.events.len() as u64 - 1
    }

    /// Marks the event that [`begin`](Self::begin) returned `ticket` for as handled. Returns the new position up to
    /// which all are handled, if that has moved. An unknown ticket, or one finished before, changes nothing.
    pub fn finish(&mut self, ticket: u64) -> Option<P> {
        let index = usize::try_from(ticket.checked_sub(self.first)?).ok()?;
        self.events.get_mut(index)?.1 = true;
        let mut reached = None;
        while self.events.front().is_some_and(|(_, handled)| *handled) {
            reached = self.events.pop_front().map(|(position, _)| position);
            self.first += 1;
        }
        reached
    }

    /// Returns how many events have begun and stand at or after the first that is not handled.
    pub fn in_flight(&self) -> usize {
        self.events.len()
    }
}

impl<P: Clone> Default for Watermark<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_never_passes_what_is_not_handled(order in Just((0_u64..50).collect::<Vec<_>>()).prop_shuffle()) {
            let mut watermark = Watermark::new();
            let tickets: Vec<u64> = (0..50_u64).map(|position| watermark.begin(position)).collect();
            let mut handled = [false; 50];
            for position in order {
                handled[position as usize] = true;
                let expected = handled.iter().position(|handled| !handled).unwrap_or(50);
                let moved = watermark.finish(tickets[position as usize]);
                if let Some(reached) = moved {
                    prop_assert_eq!(reached as usize + 1, expected);
                }
                prop_assert_eq!(watermark.in_flight(), 50 - expected);
                prop_assert_eq!(watermark.finish(tickets[position as usize]), None);
            }
        }
    }
}
