//! What delivery costs in memory: nothing for a message that is handled, little for a handler that waits.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use steadfast_core::delivery::{Delivery, Dispatcher, Envelope, Handling, Inlet, Message, Order, Settled};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

#[allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]
// SAFETY: Each call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + layout.size() as i64));
        // SAFETY: The caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() - layout.size() as i64));
        // SAFETY: The caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An inlet that has its messages ready, so that nothing but delivery can allocate.
struct Maker {
    left: AtomicU64,
    messages: Vec<Message<[u8; 64]>>,
    settled: AtomicU64,
}

impl Maker {
    fn new(messages: u64, keys: u64) -> Arc<Self> {
        let keyed = |key: u64| Message::new([0; 64]).partition_key(key.to_string());
        let kinds = if keys == 0 { vec![Message::new([0; 64])] } else { (0..keys).map(keyed).collect() };
        Arc::new(Self { left: AtomicU64::new(messages), messages: kinds, settled: AtomicU64::new(0) })
    }
}

impl Inlet<[u8; 64]> for Maker {
    type Ticket = ();

    async fn draw(&self, max: usize, into: &mut Vec<Envelope<[u8; 64], ()>>) -> usize {
        let left = self.left.load(Ordering::Relaxed);
        let count = left.min(max as u64);
        self.left.store(left - count, Ordering::Relaxed);
        for number in left - count..left {
            // A step that visits the keys in no order.
            let message = self.messages[(number * 7919) as usize % self.messages.len()].clone();
            into.push(Envelope { message, ticket: (), attempts: 0 });
        }
        count as usize
    }

    fn settle(&self, (): (), _: Settled) {
        self.settled.fetch_add(1, Ordering::Relaxed);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Handles `messages` and returns how many allocations were made from the middle to the last one.
fn allocations(order: Order, keys: u64, messages: u64, wait: bool) -> u64 {
    let inlet = Maker::new(messages, keys);
    let handling = Handling { order, concurrency: 64, ..Handling::default() };
    let dispatcher = Dispatcher::new(Arc::clone(&inlet), "made", "test", handling);
    let (mut handled, mut before, mut after) = (0, 0, 0);
    runtime().block_on(dispatcher.run_fn(|delivery: Delivery<[u8; 64]>| {
        handled += 1;
        if handled == messages / 2 {
            before = ALLOCATIONS.get();
        }
        after = ALLOCATIONS.get();
        async move {
            if wait {
                tokio::task::yield_now().await;
            }
            std::hint::black_box(delivery.payload());
            Ok::<_, Infallible>(())
        }
    }));
    assert_eq!(inlet.settled.load(Ordering::Relaxed), messages);
    after - before
}

#[test]
fn a_message_that_is_handled_costs_no_allocation() {
    for wait in [false, true] {
        assert_eq!(allocations(Order::Total, 0, 10_000, wait), 0, "total, waiting: {wait}");
        assert_eq!(allocations(Order::None, 0, 10_000, wait), 0, "none, waiting: {wait}");
        assert_eq!(allocations(Order::PerKey, 1_000, 20_000, wait), 0, "per key, waiting: {wait}");
    }
}

#[test]
fn a_handler_that_waits_costs_little() {
    const HANDLERS: u64 = 100_000;
    for (order, keys) in [(Order::None, 0), (Order::PerKey, HANDLERS)] {
        let inlet = Maker::new(HANDLERS, keys);
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::new(Mutex::new(Vec::with_capacity(HANDLERS as usize)));
        let before = BYTES.get();
        let handling = Handling { order, concurrency: HANDLERS as usize, ..Handling::default() };
        let dispatcher = Dispatcher::new(Arc::clone(&inlet), "made", "test", handling);
        let most = AtomicI64::new(0);
        let handler = |delivery: Delivery<[u8; 64]>| {
            let wakers = Arc::clone(&wakers);
            let most = &most;
            let mut first = true;
            std::future::poll_fn(move |cx| {
                let _ = std::hint::black_box(&delivery);
                let mut waiting = wakers.lock();
                if !std::mem::take(&mut first) {
                    return Poll::Ready(Ok(()));
                }
                waiting.push(cx.waker().clone());
                if waiting.len() < HANDLERS as usize {
                    return Poll::Pending;
                }
                // The last one to come wakes the others.
                most.fetch_max(BYTES.get(), Ordering::Relaxed);
                waiting.drain(..).for_each(Waker::wake);
                Poll::Ready(Ok::<_, Infallible>(()))
            })
        };
        runtime().block_on(dispatcher.run_fn(handler));
        assert_eq!(inlet.settled.load(Ordering::Relaxed), HANDLERS);
        let each = (most.load(Ordering::Relaxed) - before) / HANDLERS as i64;
        assert!(each <= 2048, "{each} bytes for each handler that waits, {order:?}");
    }
}
