//! What a program allocates is counted where it asks for that.

use std::hint::black_box;

use steadfast::diagnostics::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

#[test]
fn counts_what_all_threads_allocate() {
    let counted = || <CountingAllocator>::counted().expect("it is in use");
    let before = counted();
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| (0..1000).for_each(|_| drop(black_box(vec![0_u8; 100])))))
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let mut grown = vec![0_u8; 1000];
    grown.reserve_exact(9000);
    black_box(&grown);
    let after = counted();
    let (allocations, bytes) = (after.allocations - before.allocations, after.bytes - before.bytes);
    // The harness and starting threads allocate a little too.
    assert!((4002..5000).contains(&allocations), "{allocations}");
    assert!((410_000..600_000).contains(&bytes), "{bytes}");
}
