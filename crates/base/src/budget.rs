//! How much repetition a caller may add to its traffic.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// One whole token, in the fixed-point unit that the balance is kept in.
const TOKEN: u64 = 1 << 10;

/// A token bucket that lets repetitions be at most a share of the calls, plus a few per second.
///
/// Each call deposits `share` of a token, each repetition withdraws one, and `per_second` tokens trickle in, so
/// that a caller with little traffic can repeat too. The balance is capped, so that calm times do not save up for
/// a storm. After `RetryBudget` of Finagle.
///
/// # Examples
/// ```
/// use steadfast_base::Budget;
///
/// let budget = Budget::new(0.2, 0);
/// assert!(!budget.withdraw());
/// (0..5).for_each(|_| budget.deposit());
/// assert!(budget.withdraw());
/// assert!(!budget.withdraw());
/// ```
#[derive(Debug)]
pub struct Budget {
    share: AtomicU64,
    per_second: AtomicU64,
    cap: AtomicU64,
    balance: AtomicU64,
    started: Instant,
    /// Milliseconds since `started` up to which the trickle has been paid in.
    paid_ms: AtomicU64,
}

impl Budget {
    /// For how many seconds of trickle, and from how many calls' deposits, the balance is capped.
    const WINDOW: u64 = 10;
    const CALLS_CAPPED: u64 = 1000;

    /// Creates a budget of `share` repetitions per call (0.0 to 10.0, cut to that range) and `per_second`
    /// repetitions per second besides.
    pub fn new(share: f64, per_second: u32) -> Self {
        let (share, per_second, cap) = Self::terms(share, per_second);
        Self {
            share: AtomicU64::new(share),
            per_second: AtomicU64::new(per_second),
            cap: AtomicU64::new(cap),
            balance: AtomicU64::new(per_second),
            started: Instant::now(),
            paid_ms: AtomicU64::new(0),
        }
    }

    /// Changes what is earned; arguments as in [`new`](Self::new). What is left stays, up to the new cap.
    ///
    /// # Examples
    /// ```
    /// use steadfast_base::Budget;
    ///
    /// let budget = Budget::new(0.0, 3);
    /// budget.set(1.0, 0);
    /// assert_eq!(budget.available(), 3);
    /// budget.deposit();
    /// assert_eq!(budget.available(), 4);
    /// ```
    pub fn set(&self, share: f64, per_second: u32) {
        // What has trickled in until now came at the old rate.
        self.trickle();
        let now_ms = self.now_ms();
        let (share, per_second, cap) = Self::terms(share, per_second);
        self.share.store(share, Ordering::Release);
        self.per_second.store(per_second, Ordering::Release);
        self.cap.store(cap, Ordering::Release);
        self.paid_ms.fetch_max(now_ms, Ordering::AcqRel);
        let _ = self
            .balance
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |balance| (balance > cap).then_some(cap));
    }

    fn terms(share: f64, per_second: u32) -> (u64, u64, u64) {
        let share = (share.clamp(0.0, 10.0) * TOKEN as f64).round() as u64;
        let per_second = u64::from(per_second) * TOKEN;
        (share, per_second, share * Self::CALLS_CAPPED + per_second * Self::WINDOW)
    }

    /// Records a call, which earns its share of a repetition.
    #[inline]
    pub fn deposit(&self) {
        self.add(self.share.load(Ordering::Relaxed));
    }

    /// Takes one repetition, or says that none is left.
    pub fn withdraw(&self) -> bool {
        self.trickle();
        self.balance
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |balance| balance.checked_sub(TOKEN))
            .is_ok()
    }

    /// Returns how many whole repetitions are left.
    pub fn available(&self) -> u64 {
        self.trickle();
        self.balance.load(Ordering::Acquire) / TOKEN
    }

    fn trickle(&self) {
        let per_second = self.per_second.load(Ordering::Acquire);
        if per_second == 0 {
            return;
        }
        let now_ms = self.now_ms();
        let paid_ms = self.paid_ms.load(Ordering::Acquire);
        let earned = now_ms.saturating_sub(paid_ms).saturating_mul(per_second) / 1000;
        // Whoever moves the mark pays in; the others lost nothing, for the mark is moved only with a whole unit.
        if earned > 0
            && self.paid_ms.compare_exchange(paid_ms, now_ms, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            self.add(earned);
        }
    }

    fn now_ms(&self) -> u64 {
        Instant::now().saturating_duration_since(self.started).as_millis() as u64
    }

    #[inline]
    fn add(&self, amount: u64) {
        // While the balance is full, which is nearly always, callers only read it and do not contend for it.
        if amount > 0 && self.balance.load(Ordering::Acquire) < self.cap.load(Ordering::Relaxed) {
            self.fill(amount);
        }
    }

    fn fill(&self, amount: u64) {
        let cap = self.cap.load(Ordering::Acquire);
        let _ = self.balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, |balance| {
            Some(balance.saturating_add(amount).min(cap))
        });
    }
}

impl Default for Budget {
    /// One repetition per five calls, and ten per second besides.
    fn default() -> Self {
        Self::new(0.2, 10)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_trickle_is_capped() {
        let budget = Budget::new(0.0, 5);
        tokio::time::advance(Duration::from_secs(3600)).await;
        let granted = (0..1000).filter(|_| budget.withdraw()).count();
        assert_eq!(granted, 50);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..1000).filter(|_| budget.withdraw()).count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_keeps_what_is_left_and_pays_the_trickle_by_the_rate_of_its_time() {
        let budget = Budget::new(0.0, 1);
        tokio::time::advance(Duration::from_secs(4)).await;
        budget.set(0.0, 100);
        assert_eq!(budget.available(), 5, "one at first and four at the old rate");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(budget.available(), 105);
        budget.set(0.0, 2);
        assert_eq!(budget.available(), 20, "cut to the new cap");
        budget.set(0.0, 0);
        assert_eq!(budget.available(), 0);
    }

    #[test]
    fn repetitions_stay_a_share_of_the_calls() {
        let budget = Budget::new(0.2, 0);
        let granted = (0..10_000).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        // 0.2 is 204.8 of 1024 and rounds to 205.
        assert!((1990..=2010).contains(&granted.count()));
    }
}
