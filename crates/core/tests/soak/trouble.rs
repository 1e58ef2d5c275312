//! What goes wrong in handlers, drawn from the seed.

use std::fmt;
use std::time::Duration;

use steadfast_base::{Backoff, Class, Classify, Rng, Seed};
use steadfast_core::delivery::Redelivery;

/// What happens to one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The handler waits before it is done.
    Yields,
    Fails(Class),
    Panics,
    /// The handler never ends.
    Hangs,
}

impl Trouble {
    /// Draws what happens to the attempt `number` at what `about` is about.
    pub(crate) fn draw(seed: Seed, about: u64, number: u64) -> Self {
        let mix = about.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.rotate_left(32);
        match Seed::new(seed.value() ^ mix).rng().below(10_000) {
            0..20 => Self::Fails(Class::Permanent),
            20..40 => Self::Hangs,
            40..80 => Self::Panics,
            80..400 => Self::Fails(Class::Transient),
            400..2_000 => Self::Yields,
            _ => Self::None,
        }
    }

    /// The same, but repeating it always helps in the end.
    pub(crate) fn passing(self) -> Self {
        if self == Self::Fails(Class::Permanent) { Self::Fails(Class::Transient) } else { self }
    }

    /// Lets it happen; whoever comes back has had no trouble.
    pub(crate) async fn happen(self) -> Result<(), Failure> {
        match self {
            Self::None => {}
            Self::Yields => tokio::task::yield_now().await,
            Self::Fails(class) => return Err(Failure(class)),
            Self::Panics => std::panic::panic_any(OnPurpose),
            Self::Hangs => std::future::pending().await,
        }
        Ok(())
    }
}

/// What a handler fails with.
#[derive(Debug)]
pub(crate) struct Failure(Class);

impl Classify for Failure {
    fn classify(&self) -> Class {
        self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on purpose")
    }
}

/// What a handler panics with.
struct OnPurpose;

/// Keeps panics that are on purpose from being printed.
pub(crate) fn silence_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<OnPurpose>() {
            print(panic);
        }
    }));
}

/// Short waits, so that much happens: an attempt may take 5 ms.
pub(crate) fn redelivery(attempts_max: u32, seed: Seed) -> Redelivery {
    let (initial, max) = (Duration::from_micros(50), Duration::from_millis(2));
    let backoff = Backoff { initial, max, ..Backoff::default() };
    Redelivery { attempts_max, attempt_timeout: Duration::from_millis(5), backoff, seed }
}

/// Runs what `run` makes again and again, each time for a moment, until it ends by itself.
pub(crate) async fn come_and_go<F: Future<Output = ()>>(mut rng: Rng, run: impl Fn() -> F) {
    loop {
        let moment = Duration::from_micros(1_000 + rng.below(30_000));
        if tokio::time::timeout(moment, run()).await.is_ok() {
            return;
        }
    }
}
