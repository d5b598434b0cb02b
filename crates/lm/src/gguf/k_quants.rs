//! The "K" formats: super-blocks of 256 values whose sub-blocks' scales are themselves small integers.

use super::quantisation::half_at;

/// 16 bytes of (4-bit scale, 4-bit minimum), 64 bytes of 2-bit numbers, scale of scales, scale of minimums.
pub(super) fn q2_k(block: &[u8], values: &mut [f32]) {
    let (scales, numbers) = (&block[..16], &block[16..80]);
    let (scale, minimum) = (half_at(block, 80), half_at(block, 82));
    for (i, value) in values.iter_mut().enumerate() {
        let packed = scales[i / 16];
        let number = numbers[two_bit_byte(i)] >> two_bit_shift(i) & 3;
        *value = scale * f32::from(packed & 15) * f32::from(number) - minimum * f32::from(packed >> 4);
    }
}

/// 32 bytes of third bits (a set bit means no offset of 4), 64 bytes of 2-bit numbers, 16 six-bit scales, scale.
pub(super) fn q3_k(block: &[u8], values: &mut [f32]) {
    let (high, numbers, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let scale = half_at(block, 108);
    for (i, value) in values.iter_mut().enumerate() {
        let group = i / 16;
        let low_bits = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
        let high_bits = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
        let group_scale = f32::from(low_bits | high_bits << 4) - 32.0;
        let number = f32::from(numbers[two_bit_byte(i)] >> two_bit_shift(i) & 3);
        let offset = if high[i % 32] >> (i / 32) & 1 == 1 { 0.0 } else { 4.0 };
        *value = scale * group_scale * (number - offset);
    }
}

/// Scale of scales, scale of minimums, 12 bytes of eight (6-bit scale, 6-bit minimum), 128 bytes of 4-bit numbers.
pub(super) fn q4_k(block: &[u8], values: &mut [f32]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (scales, numbers) = (&block[4..16], &block[16..144]);
    for (i, value) in values.iter_mut().enumerate() {
        let (group_scale, group_minimum) = six_bit_pair(scales, i / 32);
        let number = four_bits(numbers, i);
        *value = scale * group_scale * f32::from(number) - minimum * group_minimum;
    }
}

/// As [`q4_k`], with 32 bytes of fifth bits before the 4-bit numbers.
pub(super) fn q5_k(block: &[u8], values: &mut [f32]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let (scales, high, numbers) = (&block[4..16], &block[16..48], &block[48..176]);
    for (i, value) in values.iter_mut().enumerate() {
        let (group_scale, group_minimum) = six_bit_pair(scales, i / 32);
        let number = four_bits(numbers, i) | (high[i % 32] >> (i / 32) & 1) << 4;
        *value = scale * group_scale * f32::from(number) - minimum * group_minimum;
    }
}

/// 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 signed scales, scale.
pub(super) fn q6_k(block: &[u8], values: &mut [f32]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half_at(block, 208);
    for (i, value) in values.iter_mut().enumerate() {
        let (part, within) = (i / 128, i % 128);
        let low_bits = low[64 * part + within % 64] >> (within / 64 * 4) & 15;
        let high_bits = high[32 * part + within % 32] >> (within / 32 * 2) & 3;
        let number = f32::from(low_bits | high_bits << 4) - 32.0;
        *value = scale * f32::from(scales[i / 16] as i8) * number;
    }
}

/// Of 128 values that share 32 bytes, value `i` is in byte `i % 32`.
fn two_bit_byte(i: usize) -> usize {
    i / 128 * 32 + i % 32
}

fn two_bit_shift(i: usize) -> usize {
    i % 128 / 32 * 2
}

/// Of 64 values that share 32 bytes, the first 32 are in the low halves.
fn four_bits(numbers: &[u8], i: usize) -> u8 {
    numbers[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15
}

/// Scale and minimum of a group: six bits each, the last four groups' upper bits in the first bytes' top bits.
fn six_bit_pair(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let (low, high_scale, high_minimum) = (packed[group + 4], packed[group - 4], packed[group]);
        (low & 15 | high_scale >> 6 << 4, low >> 4 | high_minimum >> 6 << 4)
    };
    (f32::from(scale), f32::from(minimum))
}
