/// Follows a counter from scrape to scrape, over starts of its process.
///
/// # Examples
/// ```
/// use steadfast_slo::prometheus::Counter;
///
/// let mut counter = Counter::default();
/// assert_eq!(counter.observe(Some(100.0)), Some(0.0)); // What was before is not ours.
/// assert_eq!(counter.observe(Some(130.0)), Some(30.0));
/// assert_eq!(counter.observe(None), None); // Missing: not known, and not zero.
/// assert_eq!(counter.observe(Some(20.0)), Some(20.0)); // Started again at 0.
/// assert_eq!((counter.total(), counter.resets(), counter.missing()), (50.0, 1, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counter {
    last: Option<f64>,
    total: f64,
    resets: u64,
    missing: u64,
}

impl Counter {
    /// Takes the value of one scrape and returns by how much the counter grew since the last one that was there; none
    /// where the scrape is missing or its value cannot be that of a counter.
    ///
    /// A value below the last one means that the counter started again at 0. What it counted between the last scrape
    /// and the end of its process is lost, so the total is a lower bound then.
    pub fn observe(&mut self, value: Option<f64>) -> Option<f64> {
        let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) else {
            self.missing += 1;
            return None;
        };
        let increase = match self.last {
            None => 0.0,
            Some(last) if value < last => {
                self.resets += 1;
                value
            }
            Some(last) => value - last,
        };
        self.last = Some(value);
        self.total += increase;
        Some(increase)
    }

    /// Returns by how much the counter grew in all.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Returns how often it started again.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Returns how many scrapes are missing.
    pub fn missing(&self) -> u64 {
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_count_is_missing() {
        let mut counter = Counter::default();
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(counter.observe(Some(value)), None);
        }
        assert_eq!((counter.missing(), counter.total()), (3, 0.0));
    }

    proptest! {
        #[test]
        fn the_total_is_what_was_counted_between_the_scrapes(
            steps in proptest::collection::vec((0_u32..100, any::<bool>()), 1..50),
        ) {
            let (mut counter, mut value, mut counted) = (Counter::default(), 0.0, 0.0);
            counter.observe(Some(value));
            for (step, missing) in steps {
                value += f64::from(step);
                counted += f64::from(step);
                counter.observe((!missing).then_some(value));
            }
            counter.observe(Some(value));
            prop_assert_eq!(counter.total(), counted);
            prop_assert_eq!(counter.resets(), 0);
        }
    }
}
