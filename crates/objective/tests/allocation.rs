//! No objective allocates: gradients go into the caller's slices and everything else lives on the stack.

#[cfg(test)]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    }

    /// The system's allocator, counting the calls of each thread.
    struct Counting;

    #[expect(unsafe_code, reason = "an allocator can only be written so; it passes every call on unchanged")]
    // SAFETY: both methods forward to `System` with the caller's own arguments.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.set(ALLOCATIONS.get() + 1);
            // SAFETY: the caller's promises about `layout` are passed on.
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: `pointer` came from `System` with this layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;

    /// Allocations of this thread while `work` runs.
    pub(crate) fn during(work: impl FnOnce()) -> usize {
        let before = ALLOCATIONS.get();
        work();
        ALLOCATIONS.get() - before
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use objective::{
        Advantage, Clip, Distance, Dpo, DpoRw, ExoRw, Gae, Group, GroupGradient, GroupObjective, Pair, PairObjective,
        PolicyMetrics, Rewrite, Rpo, Sides, WhitenedMean, ZScore, gae, grpo, gspo, leave_one_out, policy_loss, ppo,
        reinforce, rloo_clipped, value_loss, whiten, z_score,
    };

    use super::counting::during;

    #[test]
    fn the_counter_counts() {
        assert!(during(|| drop(black_box(vec![1.0; 8]))) > 0);
    }

    #[test]
    fn preference_objectives() {
        let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
        let rpo = |distance| Rpo { beta: 0.1, eta: 1.0, distance };
        let count = during(|| {
            black_box(PairObjective::Dpo(Dpo { beta: 0.1 }).loss(black_box(&pair)));
            black_box(PairObjective::Rpo(rpo(Distance::Forward)).loss(black_box(&pair)));
            for objective in [
                GroupObjective::Rpo(rpo(Distance::Square)),
                GroupObjective::Rpo(rpo(Distance::Backward)),
                GroupObjective::Rpo(rpo(Distance::Forward)),
                GroupObjective::ExoRw(ExoRw { beta_pi: 0.7, beta_r: 0.5 }),
                GroupObjective::DpoRw(DpoRw { beta_pi: 0.7, beta_r: 0.5 }),
            ] {
                let group = Group { policy_logps: &[-1.0; 8], ref_logps: &[-2.0; 8], rewards: &[0.5; 8] };
                let gradient = GroupGradient { policy_logps: &mut [0.0; 8], rewards: &mut [0.0; 8] };
                black_box(objective.loss(black_box(group), gradient).unwrap());
            }
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn policy_objectives() {
        let logps = [-1.0; 64];
        let rewrite = Rewrite { token_logps: &logps, old_token_logps: Some(&logps), ref_token_logps: Some(&logps) };
        let count = during(|| {
            let mut gradient = [0.0; 64];
            for objective in [reinforce(), rloo_clipped(Clip::symmetric(0.2)), ppo(0.2), grpo(0.2, 0.1), gspo(0.1, 0.2)]
            {
                let loss =
                    policy_loss(black_box(&rewrite), Advantage::Rewrite(0.5), &objective, &mut gradient).unwrap();
                black_box(PolicyMetrics::of([loss].iter()));
            }
            black_box(value_loss(&logps, &logps, &logps, 0.2, &mut gradient).unwrap());
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn advantages() {
        let count = during(|| {
            let (mut advantages, mut returns) = ([0.0; 8], [0.0; 8]);
            let rewards = black_box([0.1, 0.9, 0.4, 0.3, 0.2, 0.8, 0.7, 0.6]);
            leave_one_out(&rewards, &mut advantages).unwrap();
            z_score(&rewards, ZScore::default(), &mut advantages).unwrap();
            gae(&rewards, &[0.0; 8], Gae::default(), &mut advantages, &mut returns).unwrap();
            whiten(&mut advantages, WhitenedMean::Zero).unwrap();
            black_box((advantages, returns));
        });
        assert_eq!(count, 0);
    }
}
