use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::domain::{Lines, Refused, SetAside};
use crate::orders::domain::Sku;

/// How much of each article is set aside; the same stock of every article to begin with.
///
/// What the log says is reserved is; beside it, whoever is about to reserve holds what it takes, so that nobody else
/// takes it meanwhile. Once the log has the reservation, that takes the place of the hold.
#[derive(Debug)]
pub struct Levels {
    stock: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reserved: HashMap<Arc<str>, Arc<SetAside>>,
    held: HashMap<Arc<str>, Arc<SetAside>>,
    /// What both take together.
    taken: HashMap<Sku, u64>,
}

impl Levels {
    /// Makes the levels of a place with `stock` pieces of every article.
    pub fn new(stock: u64) -> Self {
        Self { stock, state: Mutex::default() }
    }

    /// Holds what a reservation under `key` takes, all of it or nothing; says whether that is new. Nothing is taken twice
    /// for one key.
    ///
    /// # Errors
    /// [`Refused::TooLittle`].
    pub fn hold(&self, key: &Arc<str>, aside: &Arc<SetAside>) -> Result<bool, Refused> {
        let mut state = self.state.lock();
        if state.reserved.contains_key(key) || state.held.contains_key(key) {
            return Ok(false);
        }
        for (sku, count) in &aside.lines {
            let free = self.stock.saturating_sub(state.taken.get(sku).copied().unwrap_or(0));
            if *count > free {
                return Err(Refused::TooLittle(sku.clone()));
            }
        }
        state.take(&aside.lines);
        state.held.insert(Arc::clone(key), Arc::clone(aside));
        Ok(true)
    }

    /// Gives back what is held under `key`, for nothing came of it.
    pub fn let_go(&self, key: &str) {
        self.state.lock().let_go(key);
    }

    /// Takes note that the log has a reservation.
    pub fn reserved(&self, key: Arc<str>, aside: Arc<SetAside>) {
        let mut state = self.state.lock();
        state.let_go(&key);
        state.take(&aside.lines);
        state.reserved.insert(key, aside);
    }

    /// Takes note that the log has a release.
    pub fn released(&self, key: &str) {
        let mut state = self.state.lock();
        state.let_go(key);
        if let Some(aside) = state.reserved.remove(key) {
            state.put_back(&aside.lines);
        }
    }

    /// Returns how much of an article neither is set aside nor is about to be.
    pub fn free(&self, sku: &Sku) -> u64 {
        let taken = self.state.lock().taken.get(sku).copied().unwrap_or(0);
        self.stock.saturating_sub(taken)
    }

    /// Returns what the log says is set aside, by order and article.
    pub fn by_order(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut reserved = BTreeMap::<_, BTreeMap<_, u64>>::new();
        for aside in self.state.lock().reserved.values() {
            let lines = reserved.entry(aside.order.to_string()).or_default();
            for (sku, count) in &aside.lines {
                *lines.entry(sku.to_string()).or_default() += count;
            }
        }
        reserved
    }
}

impl State {
    fn let_go(&mut self, key: &str) {
        if let Some(aside) = self.held.remove(key) {
            self.put_back(&aside.lines);
        }
    }

    fn take(&mut self, lines: &Lines) {
        for (sku, count) in lines {
            let level = self.taken.entry(sku.clone()).or_default();
            *level = level.saturating_add(*count);
        }
    }

    fn put_back(&mut self, lines: &Lines) {
        for (sku, count) in lines {
            if let Some(level) = self.taken.get_mut(sku) {
                *level = level.saturating_sub(*count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::domain::OrderId;

    fn sku(name: &str) -> Sku {
        name.parse().expect("a SKU")
    }

    fn aside(a: u64, b: u64) -> Arc<SetAside> {
        let lines = Lines::from_iter([(sku("a"), a), (sku("b"), b)]);
        Arc::new(SetAside { order: OrderId::from_key("o"), lines })
    }

    #[test]
    fn all_lines_or_none() {
        let levels = Levels::new(3);
        let [one, two, three] = ["1", "2", "3"].map(Arc::from);
        assert_eq!(levels.hold(&one, &aside(1, 4)), Err(Refused::TooLittle(sku("b"))));
        assert_eq!(levels.hold(&two, &aside(3, 2)), Ok(true), "the refused line took nothing");
        assert_eq!([levels.free(&sku("a")), levels.free(&sku("b")), levels.free(&sku("c"))], [0, 1, 3]);
        assert_eq!(levels.hold(&three, &aside(1, 0)), Err(Refused::TooLittle(sku("a"))));
        levels.let_go("2");
        assert_eq!(levels.hold(&three, &aside(3, 0)), Ok(true));
    }

    #[test]
    fn a_key_takes_once_whatever_the_order_of_hold_and_log() {
        let levels = Levels::new(3);
        let [one, two] = ["1", "2"].map(Arc::from);
        assert_eq!(levels.hold(&one, &aside(2, 0)), Ok(true));
        assert_eq!(levels.hold(&one, &aside(2, 0)), Ok(false), "a repetition");
        assert!(levels.by_order().is_empty(), "the log does not have it yet");
        levels.reserved(Arc::clone(&one), aside(2, 0));
        levels.let_go("1");
        assert_eq!(levels.hold(&one, &aside(2, 0)), Ok(false));
        assert_eq!(levels.hold(&two, &aside(2, 0)), Err(Refused::TooLittle(sku("a"))));
        assert_eq!(levels.hold(&two, &aside(1, 0)), Ok(true));
        assert_eq!(levels.by_order().len(), 1);
        // Released before it was known to be reserved, as an append without an answer leaves it.
        levels.released("2");
        levels.released("1");
        assert_eq!(levels.hold(&two, &aside(3, 0)), Ok(true));
    }
}
