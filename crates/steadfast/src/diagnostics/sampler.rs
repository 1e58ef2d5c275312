//! Samples of stacks, taken by a signal (`SIGPROF`) on a timer of processor time.
//!
//! A handler of signals may interrupt anything. This one waits for no lock and allocates nothing: it claims a place in
//! memory that was made before, and writes return addresses there. Where the loader, the C library or the unwinder is
//! interrupted it does nothing, for the unwinder may want what they hold. It stays installed when sampling is over, and
//! finds no memory then: a signal that is still under way must not meet the default, which ends the process.

use std::io;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// The most frames of a stack, the innermost ones; some of them are the handler's own.
pub(super) const DEPTH_MAX: usize = 250;
/// The most samples: 8 MiB.
pub(super) const SAMPLES_MAX: usize = 4096;
/// Where nothing is sampled.
const LEFT_OUT: [&str; 6] = ["/libc.", "/libc-", "/libgcc", "/libpthread", "/ld-", "[vdso]"];

/// Where the handler writes; null while nobody samples.
static MEMORY: AtomicPtr<Samples> = AtomicPtr::new(null_mut());
/// How many threads are in the handler.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// What was sampled.
pub(super) struct Samples {
    left_out: Vec<Range<usize>>,
    next: AtomicUsize,
    samples: Box<[Sample]>,
}

struct Sample {
    /// How many frames were written; 0 until all of them are.
    depth: AtomicUsize,
    thread: AtomicI32,
    /// The address that was interrupted.
    at: AtomicUsize,
    frames: [AtomicUsize; DEPTH_MAX],
}

impl Samples {
    fn new(samples: usize) -> io::Result<Self> {
        let sample = |_| Sample {
            depth: AtomicUsize::new(0),
            thread: AtomicI32::new(0),
            at: AtomicUsize::new(0),
            frames: [const { AtomicUsize::new(0) }; DEPTH_MAX],
        };
        let samples = (0..samples.clamp(1, SAMPLES_MAX)).map(sample).collect();
        Ok(Self {
            left_out: left_out(&std::fs::read_to_string("/proc/self/maps")?),
            next: AtomicUsize::new(0),
            samples,
        })
    }

    /// Calls `each` with the thread and the frames of each sample, the innermost first, and whether outer ones are missing.
    pub(super) fn for_each(&self, mut each: impl FnMut(i32, &[usize], bool)) {
        for sample in &self.samples {
            let depth = sample.depth.load(Ordering::Acquire);
            let frames: Vec<usize> =
                sample.frames[..depth].iter().map(|frame| frame.load(Ordering::Relaxed)).collect();
            // What lies before what was interrupted is the handler.
            let at = sample.at.load(Ordering::Relaxed);
            let from = frames.iter().position(|&frame| frame == at).unwrap_or(0);
            if depth > 0 {
                each(sample.thread.load(Ordering::Relaxed), &frames[from..], depth == DEPTH_MAX);
            }
        }
    }

    /// Takes a sample. IMPORTANT: it runs in the handler.
    fn take(&self, at: usize) {
        if self.left_out.iter().any(|range| range.contains(&at)) {
            return;
        }
        let Some(sample) = self.samples.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return };
        let mut depth = 0;
        let visit = |frame: &backtrace::Frame| {
            if let Some(place) = sample.frames.get(depth) {
                place.store(frame.ip() as usize, Ordering::Relaxed);
                depth += 1;
            }
            depth < DEPTH_MAX
        };
        // SAFETY: It is unsynchronized with other threads that unwind. It changes nothing that is shared but a cache of
        // the loader's, behind a lock of the loader's which the interrupted thread does not hold: its code is left out.
        unsafe { backtrace::trace_unsynchronized(visit) };
        // SAFETY: It has no preconditions.
        sample.thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        sample.at.store(at, Ordering::Relaxed);
        sample.depth.store(depth, Ordering::Release);
    }
}

/// Returns the code that must not be interrupted, out of the list of what is mapped.
fn left_out(maps: &str) -> Vec<Range<usize>> {
    let parse = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let is_code = rest.split(' ').next()?.contains('x');
        let number = |text| usize::from_str_radix(text, 16).ok();
        (is_code && LEFT_OUT.iter().any(|name| rest.contains(name))).then_some(number(start)?..number(end)?)
    };
    maps.lines().filter_map(parse).collect()
}

/// Sampling that is under way; dropping it ends it.
pub(super) struct Sampling(());

impl Sampling {
    /// Begins to take at most `samples`, `per_second` for each second of processor time.
    ///
    /// # Errors
    /// Somebody samples already, or the system refuses the timer.
    pub(super) fn start(per_second: u32, samples: usize) -> io::Result<Self> {
        static INSTALLED: Once = Once::new();
        // What is done at the first time only, such as loading the unwinder, must not be done in the handler.
        backtrace::trace(|_| true);
        let memory = Box::into_raw(Box::new(Samples::new(samples)?));
        if MEMORY.compare_exchange(null_mut(), memory, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            // SAFETY: It was made above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(memory) });
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let sampling = Self(());
        let mut installed = Ok(());
        INSTALLED.call_once(|| installed = install());
        installed?;
        set_timer(1_000_000 / per_second.clamp(1, 1_000_000))?;
        Ok(sampling)
    }

    /// Ends it and returns what was sampled.
    pub(super) fn stop(self) -> Box<Samples> {
        let samples = end();
        std::mem::forget(self);
        samples.expect("it was under way")
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        drop(end());
    }
}

fn end() -> Option<Box<Samples>> {
    if let Err(error) = set_timer(0) {
        tracing::warn!(%error, "the timer of the sampler cannot be stopped");
    }
    let memory = MEMORY.swap(null_mut(), Ordering::SeqCst);
    // Who has got hold of the memory before is still counted.
    while AT_WORK.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
    // SAFETY: It came from a box. No handler has it any more, and none gets it.
    (!memory.is_null()).then(|| unsafe { Box::from_raw(memory) })
}

extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    AT_WORK.fetch_add(1, Ordering::SeqCst);
    let memory = MEMORY.load(Ordering::SeqCst);
    // SAFETY: Where it is not null, `end` waits for this thread before it takes the memory away.
    if let Some(samples) = unsafe { memory.as_ref() } {
        // SAFETY: The place of `errno` is valid in every thread; what was interrupted must find it as it was.
        let errno = unsafe { *libc::__errno_location() };
        // SAFETY: The kernel hands this to a handler that was installed with `SA_SIGINFO`.
        samples.take(unsafe { interrupted(context.cast()) });
        // SAFETY: As above.
        unsafe { *libc::__errno_location() = errno };
    }
    AT_WORK.fetch_sub(1, Ordering::SeqCst);
}

/// Returns the address that was interrupted.
///
/// # Safety
/// `context` is what the kernel hands to a handler.
unsafe fn interrupted(context: *const libc::ucontext_t) -> usize {
    // SAFETY: The caller says so.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let at = machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    let at = machine.pc as usize;
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    compile_error!(
        "where this processor was interrupted is to be written for it: build without `diagnostics`"
    );
    at
}

fn install() -> io::Result<()> {
    // SAFETY: All zeros are a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(_, _, _) as usize;
    // On the thread's own stack: the one that the standard library keeps for overflows is too small to unwind on.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: The action is complete, and the handler does what a handler may.
    check(unsafe { libc::sigaction(libc::SIGPROF, &raw const action, null_mut()) })
}

/// Sets the timer to go off each time that so much processor time was used; 0: never.
fn set_timer(micros: u32) -> io::Result<()> {
    let every = libc::timeval { tv_sec: 0, tv_usec: libc::suseconds_t::from(micros.min(999_999)) };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: Both pointers are valid or null.
    check(unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, null_mut()) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_the_c_library_is_left_out() {
        let maps = "\
            55d0a000-55d0b000 r-xp 00000000 08:01 17  /usr/bin/orders\n\
            7f001000-7f002000 r--p 00000000 08:01 18  /usr/lib/x86_64-linux-gnu/libc.so.6\n\
            7f002000-7f008000 r-xp 00001000 08:01 18  /usr/lib/x86_64-linux-gnu/libc.so.6\n\
            7f009000-7f00a000 r-xp 00000000 08:01 19  /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\n\
            7ffe1000-7ffe2000 r-xp 00000000 00:00 0   [vdso]\n";
        assert_eq!(
            left_out(maps),
            [0x7f00_2000..0x7f00_8000, 0x7f00_9000..0x7f00_a000, 0x7ffe_1000..0x7ffe_2000]
        );
        let own = std::fs::read_to_string("/proc/self/maps").expect("Linux");
        assert!(!left_out(&own).is_empty(), "{own}");
    }
}
