//! How much is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Over how many places threads spread their counts.
const PLACES: usize = 16;

/// An allocator that counts what is allocated, and hands everything on to another.
///
/// It costs two additions for each allocation, in a place that few threads share.
///
/// # Examples
/// ```
/// use steadfast::diagnostics::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::system();
///
/// let before = CountingAllocator::<std::alloc::System>::counted().expect("it is in use");
/// drop(vec![0_u8; 4096]);
/// let after = CountingAllocator::<std::alloc::System>::counted().expect("it is in use");
/// assert!(after.bytes >= before.bytes + 4096);
/// ```
#[derive(Debug)]
pub struct CountingAllocator<A = System>(A);

/// What was allocated since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allocated {
    /// How often memory was asked for.
    pub allocations: u64,
    /// How much in all, in bytes, no matter how much of it was given back.
    pub bytes: u64,
}

#[repr(align(128))]
struct Place {
    allocations: AtomicU64,
    bytes: AtomicU64,
}

static COUNTED: [Place; PLACES] =
    [const { Place { allocations: AtomicU64::new(0), bytes: AtomicU64::new(0) } }; PLACES];
static IS_USED: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl CountingAllocator {
    /// Counts for the allocator of the system.
    pub const fn system() -> Self {
        Self(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Counts for `allocator`.
    pub const fn of(allocator: A) -> Self {
        Self(allocator)
    }

    /// Returns what was allocated so far, or `None` where no such allocator is the program's.
    pub fn counted() -> Option<Allocated> {
        counted()
    }
}

pub(super) fn counted() -> Option<Allocated> {
    IS_USED.load(Ordering::Relaxed).then(|| {
        COUNTED.iter().fold(Allocated::default(), |sum, place| Allocated {
            allocations: sum.allocations + place.allocations.load(Ordering::Relaxed),
            bytes: sum.bytes + place.bytes.load(Ordering::Relaxed),
        })
    })
}

fn count(bytes: usize) {
    // A thread that is ending has no place any more.
    let place = PLACE.try_with(|place| {
        if place.get() == usize::MAX {
            place.set(NEXT.fetch_add(1, Ordering::Relaxed) % PLACES);
            IS_USED.store(true, Ordering::Relaxed);
        }
        place.get()
    });
    let place = &COUNTED[place.unwrap_or(0)];
    place.allocations.fetch_add(1, Ordering::Relaxed);
    place.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "an allocator can be written in no other way")]
// SAFETY: Each call is handed to the allocator within unchanged, which keeps the contract. Counting allocates nothing,
// for its thread-local has neither a destructor nor a lazy beginning.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: The caller keeps the contract of `alloc`.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: The caller keeps the contract of `alloc_zeroed`.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size.saturating_sub(layout.size()));
        // SAFETY: The caller keeps the contract of `realloc`.
        unsafe { self.0.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: The caller keeps the contract of `dealloc`.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}
