use std::collections::HashMap;

use parking_lot::Mutex;

use super::domain::{Lines, Refused};
use crate::orders::domain::Sku;

/// How much of each article is set aside; the same stock of every article to begin with.
#[derive(Debug)]
pub struct Levels {
    stock: u64,
    taken: Mutex<HashMap<Sku, u64>>,
}

impl Levels {
    /// Makes the levels of a store with `stock` pieces of every article.
    pub fn new(stock: u64) -> Self {
        Self { stock, taken: Mutex::default() }
    }

    /// Takes all lines, or none when there is too little of one.
    ///
    /// # Errors
    /// [`Refused::TooLittle`].
    pub fn take(&self, lines: &Lines) -> Result<(), Refused> {
        let mut taken = self.taken.lock();
        for (sku, count) in lines {
            let free = self.stock.saturating_sub(taken.get(sku).copied().unwrap_or(0));
            if *count > free {
                return Err(Refused::TooLittle(sku.clone()));
            }
        }
        Self::add(&mut taken, lines);
        Ok(())
    }

    /// Takes all lines without asking: they had been taken before.
    pub fn restore(&self, lines: &Lines) {
        Self::add(&mut self.taken.lock(), lines);
    }

    /// Puts all lines back.
    pub fn put_back(&self, lines: &Lines) {
        let mut taken = self.taken.lock();
        for (sku, count) in lines {
            if let Some(level) = taken.get_mut(sku) {
                *level = level.saturating_sub(*count);
            }
        }
    }

    fn add(taken: &mut HashMap<Sku, u64>, lines: &Lines) {
        for (sku, count) in lines {
            let level = taken.entry(sku.clone()).or_default();
            *level = level.saturating_add(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_or_none() {
        let levels = Levels::new(3);
        let lines = |a: u64, b: u64| {
            Lines::from_iter([("a".parse().expect("a SKU"), a), ("b".parse().expect("a SKU"), b)])
        };
        assert_eq!(levels.take(&lines(1, 4)), Err(Refused::TooLittle("b".parse().expect("a SKU"))));
        assert_eq!(levels.take(&lines(3, 3)), Ok(()), "the refused line took nothing");
        assert!(levels.take(&lines(1, 0)).is_err());
        levels.put_back(&lines(1, 0));
        assert_eq!(levels.take(&lines(1, 0)), Ok(()));
    }
}
