//! How much memory is in use, counted by the allocator to the byte, and beside it what the kernel says.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use steadfast_base::Seed;

static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]
// SAFETY: Each call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: The caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: The caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes are allocated now.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// How many bytes the kernel holds for this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0_usize) * 4096
}

/// By how much memory in use may differ between the first and the last third of the soak.
///
/// What is in flight breathes by some hundred kilobytes: letters, queues, a round of the relay. The median of a third
/// of the samples moves far less. In five minutes a leak of 16 bytes for each message of any one part comes to many
/// megabytes; what leaks in the short soak shows in [`Memory::assert_given_back`].
const GROWTH_MAX: usize = 1 << 20;

/// What the allocator keeps for itself may grow somewhat more, for many threads allocate and free in turn.
const RESIDENT_GROWTH_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    live: Vec<usize>,
    resident: Vec<usize>,
}

impl Memory {
    pub(crate) fn sample(&mut self) {
        self.live.push(live());
        self.resident.push(resident());
    }

    /// Fails if more is in use in the last third than in the first and than in the middle, the beginning aside.
    pub(crate) fn assert_flat(&self, seed: Seed) {
        let (live, resident) = (Thirds::of(&self.live), Thirds::of(&self.resident));
        eprintln!("live bytes {live:?}; resident {resident:?}");
        // A leak grows in each third; what has grown once and stays is a buffer that was filled.
        let grown = live.last.saturating_sub(live.first).min(2 * live.last.saturating_sub(live.middle));
        assert!(grown <= GROWTH_MAX, "live memory grew by {grown} bytes: {live:?}; STEADFAST_SEED={seed}");
        let grown = resident.last.saturating_sub(resident.first);
        assert!(grown <= RESIDENT_GROWTH_MAX, "resident memory grew by {grown}; STEADFAST_SEED={seed}");
    }

    /// Fails if what was in use before is far from what is in use when all is over.
    pub(crate) fn assert_given_back(&self, before: usize, seed: Seed) {
        let kept = live().saturating_sub(before);
        // Timers, the samples and the runtime's queues stay.
        assert!(kept < 256 << 10, "{kept} bytes are not given back; STEADFAST_SEED={seed}");
        eprintln!("{kept} bytes more than before are in use when all is over");
    }
}

/// The medians of three parts of equal length.
#[derive(Debug)]
struct Thirds {
    first: usize,
    middle: usize,
    last: usize,
}

impl Thirds {
    fn of(samples: &[usize]) -> Self {
        // Buffers and the transport's memory of events fill in the beginning.
        let samples = &samples[samples.len() / 5..];
        let third = samples.len() / 3;
        let median = |part: usize| {
            let mut part = samples[part * third..(part + 1) * third].to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied().unwrap_or(0)
        };
        Self { first: median(0), middle: median(1), last: median(2) }
    }
}
