use super::*;
use std::sync::atomic::AtomicU32;

fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).unwrap())
}

#[test]
fn every_task_runs_exactly_once_in_many_tiny_runs() {
    for threads in 1..=4 {
        let pool = pool(threads);
        assert_eq!(pool.threads(), threads);
        for round in 0..2_000 {
            let tasks = round % 17;
            let calls: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
            pool.run(tasks, |index| {
                calls[index].fetch_add(1, Relaxed);
            });
            assert!(calls.iter().all(|count| count.load(Relaxed) == 1), "threads {threads}, round {round}");
        }
    }
}

#[test]
fn runs_after_sleep_are_complete() {
    let pool = pool(3);
    for _ in 0..20 {
        thread::sleep(SPIN * 5);
        let sum = AtomicUsize::new(0);
        pool.run(100, |index| {
            sum.fetch_add(index, Relaxed);
        });
        assert_eq!(sum.into_inner(), 4950);
    }
}

#[test]
fn chunks_are_disjoint_and_cover_everything() {
    let pool = pool(3);
    for length in [0, 1, 6, 7, 100] {
        let mut data = vec![0_usize; length];
        pool.chunks(&mut data, 7, |index, part| {
            assert!(part.len() == 7 || index == length / 7);
            part.iter_mut().for_each(|value| *value += index + 1);
        });
        assert!(data.iter().enumerate().all(|(i, &value)| value == i / 7 + 1));
    }
    let (mut a, mut b, mut c) = (vec![0_u8; 10], vec![0_u16; 20], vec![0_u32; 5]);
    pool.chunks2((&mut a, 2), (&mut b, 4), |index, a, b| {
        a.fill(index as u8);
        b.fill(index as u16);
    });
    pool.chunks3((&mut a, 2), (&mut b, 4), (&mut c, 1), |index, a, b, c| {
        c[0] = u32::from(a[1]) + u32::from(b[3]) + index as u32;
    });
    assert_eq!(c, [0, 3, 6, 9, 12]);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for threads in 1..=3 {
        let pool = pool(threads);
        for bad in [0, 13, 49] {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                pool.run(50, |index| assert!(index != bad, "task {bad} fails"));
            }));
            let message = *outcome.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("task {bad} fails"));
            let sum = AtomicUsize::new(0);
            pool.run(10, |index| {
                sum.fetch_add(index, Relaxed);
            });
            assert_eq!(sum.into_inner(), 45);
        }
    }
}

#[test]
fn nested_and_concurrent_runs_complete() {
    let pool = pool(2);
    let sum = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.run(4, |_| {
                        pool.run(5, |index| {
                            sum.fetch_add(index, Relaxed);
                        });
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 3 * 200 * 4 * 10);
}

/// Processor time of this process's threads whose name starts with `kernel-`, in clock ticks (10 ms).
#[cfg(target_os = "linux")]
fn worker_ticks(names: &[String]) -> u64 {
    let ticks = |stat: &str| -> u64 {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok())
        .filter(|stat| names.iter().any(|name| stat.contains(name)))
        .map(|stat| ticks(&stat))
        .sum()
}

#[cfg(target_os = "linux")]
#[test]
fn a_sleeping_pool_uses_no_processor_time() {
    // The highest index names a worker that no other test's pool has.
    let pool = pool(8);
    pool.run(100, |_| {});
    thread::sleep(Duration::from_millis(20));
    let names = ["(kernel-5)", "(kernel-6)", "(kernel-7)"].map(String::from);
    let before = worker_ticks(&names);
    thread::sleep(Duration::from_millis(300));
    assert!(worker_ticks(&names) - before <= 1, "workers that spin for 300 ms would take up to 90 ticks");
}
