//! A fork-join pool whose fork costs a fraction of a microsecond.
//!
//! A decoder step forks hundreds of times and each part lasts microseconds, so idle workers spin on one word of memory
//! for a short while before they sleep, and a fork waits only for those workers that joined it in time.

#![expect(unsafe_code, reason = "a borrowed closure and disjoint parts of slices are handed to other threads")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Isa;

/// How long an idle worker spins before it sleeps. Longer than the gaps inside a decoder step, short enough that a
/// program that does something else soon has its cores back.
const SPIN: Duration = Duration::from_micros(100);

/// Persistent threads that run the parts of one operation at a time, and the instruction set of their kernels.
///
/// The thread that calls [`run`](Pool::run) works too, so a pool of one thread has no worker and runs everything inline.
/// A `run` inside a `run`, or beside one from another thread, is executed inline as well: never a deadlock.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    isa: Isa,
}

impl Pool {
    /// A pool of `threads` threads, the caller's included, with the machine's best instruction set. If the system
    /// refuses a thread, the pool is smaller.
    pub fn new(threads: NonZeroUsize) -> Pool {
        Pool::with_isa(threads, Isa::detect())
    }

    /// A pool whose kernels use the given instruction set, for tests and comparisons.
    ///
    /// # Panics
    /// If this machine does not have it.
    pub fn with_isa(threads: NonZeroUsize, isa: Isa) -> Pool {
        assert!(isa.is_available(), "this machine cannot execute {isa:?}");
        let worker_count = threads.get().min(MAX_JOINED as usize) - 1;
        let shared = Arc::new(Shared::new(worker_count));
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("kernel-{}", index + 1)).spawn(move || shared.work(index)).ok()
        };
        let workers = (0..worker_count).map_while(spawn).collect();
        Pool { shared, workers, isa }
    }

    /// The number of threads that share the work, the caller's included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// The instruction set that kernels on this pool use; this machine has it.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Calls `task(0)`, …, `task(tasks - 1)`, each once, on whichever thread is free, and returns when all are done.
    ///
    /// # Panics
    /// If a task panics: the first panic goes on in the caller after every running task has ended; tasks that had not
    /// started are skipped.
    pub fn run(&self, tasks: usize, task: impl Fn(usize) + Sync) {
        if tasks <= 1 || self.workers.is_empty() || self.shared.busy.swap(true, Acquire) {
            (0..tasks).for_each(task);
            return;
        }
        self.shared.open(Job::new(tasks, &task));
        self.wake();
        self.shared.drain();
        self.shared.close();
        let panic = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.busy.store(false, Release);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Calls `task(i, part)` for the `i`-th part of `chunk` elements of `data`; the last part may be shorter.
    ///
    /// # Panics
    /// If `chunk` is 0, or if a task panics.
    pub fn chunks<T: Send>(&self, data: &mut [T], chunk: usize, task: impl Fn(usize, &mut [T]) + Sync) {
        let parts = Parts::new(data, chunk);
        // SAFETY: `run` calls each index once, so no part is borrowed twice.
        self.run(parts.count, |index| task(index, unsafe { parts.part(index) }));
    }

    /// [`chunks`](Pool::chunks) over two slices in step, each given with its own part length.
    ///
    /// # Panics
    /// If a part length is 0, if the slices have different numbers of parts, or if a task panics.
    pub fn chunks2<A: Send, B: Send>(
        &self,
        first: (&mut [A], usize),
        second: (&mut [B], usize),
        task: impl Fn(usize, &mut [A], &mut [B]) + Sync,
    ) {
        let (first, second) = (Parts::new(first.0, first.1), Parts::new(second.0, second.1));
        assert_eq!(first.count, second.count, "the slices have different numbers of parts");
        // SAFETY: `run` calls each index once, so no part is borrowed twice.
        self.run(first.count, |index| task(index, unsafe { first.part(index) }, unsafe { second.part(index) }));
    }

    /// [`chunks`](Pool::chunks) over three slices in step, each given with its own part length.
    ///
    /// # Panics
    /// If a part length is 0, if the slices have different numbers of parts, or if a task panics.
    pub fn chunks3<A: Send, B: Send, C: Send>(
        &self,
        first: (&mut [A], usize),
        second: (&mut [B], usize),
        third: (&mut [C], usize),
        task: impl Fn(usize, &mut [A], &mut [B], &mut [C]) + Sync,
    ) {
        let (first, second) = (Parts::new(first.0, first.1), Parts::new(second.0, second.1));
        let third = Parts::new(third.0, third.1);
        assert_eq!(first.count, second.count, "the slices have different numbers of parts");
        assert_eq!(first.count, third.count, "the slices have different numbers of parts");
        self.run(first.count, |index| {
            // SAFETY: `run` calls each index once, so no part is borrowed twice.
            task(index, unsafe { first.part(index) }, unsafe { second.part(index) }, unsafe { third.part(index) });
        });
    }

    fn wake(&self) {
        for (asleep, worker) in self.shared.asleep.iter().zip(&self.workers) {
            if asleep.load(SeqCst) && asleep.swap(false, SeqCst) {
                worker.thread().unpark();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches every panic of its tasks, so it has none of its own to report.
            drop(worker.join());
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).field("isa", &self.isa).finish()
    }
}

/// A slice cut into parts that different threads may hold at once.
struct Parts<'a, T> {
    base: *mut T,
    length: usize,
    chunk: usize,
    count: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: a shared `Parts` only gives out disjoint `&mut [T]` (the contract of `part`), which may go to other threads
// when `T` may.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    fn new(data: &'a mut [T], chunk: usize) -> Parts<'a, T> {
        assert!(chunk > 0, "a part needs at least one element");
        let (length, base) = (data.len(), data.as_mut_ptr());
        Parts { base, length, chunk, count: length.div_ceil(chunk), borrow: PhantomData }
    }

    /// # Safety
    /// No part that was given out before under the same index may still be in use.
    #[expect(clippy::mut_from_ref, reason = "parts with different indices are disjoint")]
    unsafe fn part(&self, index: usize) -> &mut [T] {
        assert!(index < self.count);
        let start = index * self.chunk;
        // SAFETY: the part lies inside the slice that `self` borrows mutably, and parts of different indices do not
        // overlap; the caller keeps each index to one user.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(start), self.chunk.min(self.length - start)) }
    }
}

/// A borrowed closure without its type and lifetime, and how many times to call it.
#[derive(Clone, Copy)]
struct Job {
    tasks: usize,
    task: *const (),
    call: unsafe fn(*const (), usize),
}

impl Job {
    fn new<F: Fn(usize) + Sync>(tasks: usize, task: &F) -> Job {
        /// # Safety
        /// `task` must point to a live `F`.
        unsafe fn call<F: Fn(usize) + Sync>(task: *const (), index: usize) {
            // SAFETY: the caller promises a live `F`; `F` is `Sync`, so any thread may call it.
            unsafe { (*task.cast::<F>())(index) }
        }
        Job { tasks, task: std::ptr::from_ref(task).cast(), call: call::<F> }
    }

    const IDLE: Job = Job { tasks: 0, task: std::ptr::null(), call: |_, _| {} };
}

/// `Shared::state` is `epoch · 2¹⁷ + OPEN + joined`: a worker joins an open epoch by a compare-and-swap that adds one,
/// so after `close` no worker can enter and the caller waits only for those inside.
const MAX_JOINED: u64 = (1 << 16) - 1;
const OPEN: u64 = 1 << 16;
const EPOCH: u64 = 1 << 17;

/// One cache line (two, for the adjacent-line prefetcher) of its own.
#[repr(align(128))]
struct Line<T>(T);

struct Shared {
    state: Line<AtomicU64>,
    /// The next task of the open job that nobody has taken.
    next: Line<AtomicUsize>,
    job: Line<UnsafeCell<Job>>,
    busy: AtomicBool,
    stop: AtomicBool,
    asleep: Box<[AtomicBool]>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is written only by the thread that holds `busy`, while the state is closed and nobody has joined; it is
// read only between a successful join and the matching leave, or by the writer. The pointer inside goes to a `Sync`
// closure that outlives the job, since `Pool::run` returns only after `close`.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Shared {}

impl Shared {
    fn new(worker_count: usize) -> Shared {
        Shared {
            state: Line(AtomicU64::new(0)),
            next: Line(AtomicUsize::new(0)),
            job: Line(UnsafeCell::new(Job::IDLE)),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asleep: (0..worker_count).map(|_| AtomicBool::new(false)).collect(),
            panic: Mutex::new(None),
        }
    }

    /// Publishes a job; the caller holds `busy` and calls `close` before the job's closure dies.
    fn open(&self, job: Job) {
        // SAFETY: the state is closed with nobody joined and the caller holds `busy`, so this thread alone has access.
        unsafe { *self.job.0.get() = job };
        self.next.0.store(0, Relaxed);
        let epoch = self.state.0.load(Relaxed) & !(OPEN | MAX_JOINED);
        self.state.0.store(epoch.wrapping_add(EPOCH) | OPEN, SeqCst);
    }

    /// Lets nobody else join and waits for those who did.
    fn close(&self) {
        self.state.0.fetch_and(!OPEN, AcqRel);
        let mut spins = 0_u32;
        while self.state.0.load(Acquire) & MAX_JOINED != 0 {
            spins = spins.wrapping_add(1);
            // A worker that joined and then lost its core to another program needs that core back.
            if spins.is_multiple_of(4096) { thread::yield_now() } else { spin_loop() }
        }
    }

    /// Takes tasks until none is left. Called by the thread that opened the job and by those who joined it.
    fn drain(&self) {
        // SAFETY: between join and leave (or open and close) nobody writes the job.
        let job = unsafe { *self.job.0.get() };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let index = self.next.0.fetch_add(1, Relaxed);
                if index >= job.tasks {
                    break;
                }
                // SAFETY: the closure lives until `close` returns, and this thread has not left the job.
                unsafe { (job.call)(job.task, index) };
            }
        }));
        if let Err(payload) = outcome {
            self.next.0.store(job.tasks, Relaxed);
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
        }
    }

    /// A worker's life.
    fn work(&self, index: usize) {
        let mut seen = 0;
        while self.await_job(index, seen) {
            let state = self.state.0.load(Acquire);
            let joinable = is_news(state, seen) && state & MAX_JOINED < MAX_JOINED;
            if joinable && self.state.0.compare_exchange(state, state + 1, AcqRel, Relaxed).is_ok() {
                seen = state / EPOCH;
                self.drain();
                self.state.0.fetch_sub(1, Release);
            }
        }
    }

    /// Spins, then sleeps, until there is an open job of another epoch than `seen`; false when the pool is dropped.
    fn await_job(&self, index: usize, seen: u64) -> bool {
        let idle_since = Instant::now();
        loop {
            for _ in 0..64 {
                if is_news(self.state.0.load(Relaxed), seen) {
                    return true;
                }
                spin_loop();
            }
            if self.stop.load(Relaxed) {
                return false;
            }
            if idle_since.elapsed() > SPIN {
                // Either this thread sees the job that `open` published, or `wake` sees that it is asleep: both sides
                // write one word and then read the other, sequentially consistent.
                self.asleep[index].store(true, SeqCst);
                while !is_news(self.state.0.load(SeqCst), seen) && !self.stop.load(SeqCst) {
                    thread::park();
                    self.asleep[index].store(true, SeqCst);
                }
                self.asleep[index].store(false, SeqCst);
            }
        }
    }
}

/// Whether the state shows an open job that a worker which last joined epoch `seen` has not joined yet.
fn is_news(state: u64, seen: u64) -> bool {
    state & OPEN != 0 && state / EPOCH != seen
}

#[cfg(test)]
mod tests;
