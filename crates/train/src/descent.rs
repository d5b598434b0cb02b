//! What every loop does: take a step's share of the data, and go down the gradient.

use lm::{AdamW, Lora, LoraGradients, clip_by_global_norm, derive_seed};

use crate::Error;
use crate::options::OptimizerOptions;

/// Keeps the order of the data apart from other random numbers.
const ORDER: u64 = 0x6f72_6465;

/// Clip the gradients and update the adapter; returns their norm. Gradients that are not finite change nothing and give
/// `None`.
pub(crate) fn descend(
    options: &OptimizerOptions,
    rate: f64,
    adapter: &mut Lora,
    optimizer: &mut AdamW,
    mut gradients: LoraGradients,
) -> Result<Option<f64>, Error> {
    let norm = match clip_by_global_norm(&mut gradients.flat, options.max_grad_norm) {
        Err(lm::Error::NotFinite { .. }) => return Ok(None),
        norm => norm?,
    };
    optimizer.step(&mut adapter.parameters, &gradients.flat, rate)?;
    Ok(Some(norm))
}

/// Which of `n` items, at least one, a step takes: every epoch goes through all of them once, in an order of its own.
pub(crate) fn places_of_step(n: usize, per_step: usize, seed: u64, step: u64) -> Vec<usize> {
    let (n, per_step) = (n as u64, per_step as u64);
    let mut order = (u64::MAX, Vec::new());
    let pick = |position: u64| {
        let epoch = position / n;
        if order.0 != epoch {
            let mut places: Vec<u64> = (0..n).collect();
            places.sort_by_key(|&place| derive_seed(&[seed, ORDER, epoch, place]));
            order = (epoch, places);
        }
        order.1[(position % n) as usize] as usize
    };
    (step * per_step..(step + 1) * per_step).map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_takes_every_item_once() {
        let taken: Vec<usize> = (0..4).flat_map(|step| places_of_step(6, 3, 7, step)).collect();
        for epoch in taken.chunks(6) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert_ne!(taken[..6], taken[6..]);
        assert_eq!(places_of_step(2, 5, 7, 0).len(), 5);
    }
}
