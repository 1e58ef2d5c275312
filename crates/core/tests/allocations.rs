//! The way of a message from `publish` to the handler allocates nothing.

#![allow(unsafe_code, reason = "an allocator that counts can be made in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use steadfast_base::Deadline;
use steadfast_core::bus::Bus;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: what the caller promises is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: what the caller promises is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: what the caller promises is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of this program, for others would be counted too.
#[tokio::test(flavor = "current_thread")]
async fn a_message_of_64_bytes_costs_no_allocation() {
    const MESSAGES: u64 = 10_000;
    let bus = Bus::new();
    let topic = bus.topic::<[u8; 64]>("numbers").expect("the bus is open");
    let subscription = topic.subscribe("s", 256).expect("the bus is open");
    let handled = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&handled);
    let consumer = tokio::spawn(async move {
        let handler = |delivery: steadfast_core::bus::Delivery<[u8; 64]>| {
            counted.fetch_add(u64::from(delivery.payload()[0]), Ordering::Relaxed);
            async move {
                // Some handlers have to wait.
                if delivery.payload()[1].is_multiple_of(16) {
                    tokio::task::yield_now().await;
                }
                Ok::<_, Infallible>(())
            }
        };
        subscription.run_fn(handler).await;
    });
    let carry = async |count: u64| {
        let until = handled.load(Ordering::Relaxed) + count;
        for number in 0..count {
            let mut payload = [number as u8; 64];
            payload[0] = 1;
            topic.publish(payload).await.expect("the bus is open");
        }
        let began = Instant::now();
        while handled.load(Ordering::Relaxed) < until {
            assert!(began.elapsed() < Duration::from_secs(30), "not all that was published is handled");
            tokio::task::yield_now().await;
        }
    };
    // The queue and what the consumer has in hand grow once.
    carry(MESSAGES).await;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    carry(MESSAGES).await;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocations, 0, "{MESSAGES} messages");
    bus.close(Deadline::within(Duration::from_secs(5))).await;
    consumer.await.expect("it does not panic");
}
