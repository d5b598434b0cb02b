use super::*;
use std::num::NonZeroUsize;

fn pool() -> Pool {
    Pool::new(NonZeroUsize::new(2).unwrap())
}

fn matrix(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect()
}

fn read(weight: &Weight) -> Vec<f32> {
    let mut row = vec![0.0; weight.inputs()];
    let rows = (0..weight.outputs()).flat_map(|index| {
        weight.row(index, &mut row);
        row.clone()
    });
    rows.collect()
}

#[test]
fn rows_read_back_as_they_were_rounded() {
    for (outputs, inputs) in [(1, 1), (5, 7), (48, 16), (100, 33), (49, 64), (20, 130)] {
        let source = matrix(outputs * inputs);
        let pack = |precision| read(&Weight::pack(&pool(), &source, outputs, inputs, precision));
        assert_eq!(pack(Precision::F32), source);
        let bf16: Vec<f32> = source.iter().map(|&value| half::bf16::from_f32(value).to_f32()).collect();
        assert_eq!(pack(Precision::Bf16), bf16);
        for (row, read) in source.chunks(inputs).zip(pack(Precision::Int8).chunks(inputs)) {
            for (row, read) in row.chunks(32).zip(read.chunks(32)) {
                // Steps are bf16, rounded up.
                let step = row.iter().fold(0.0_f32, |max, value| max.max(value.abs())) / 127.0 * (1.0 + 1.0 / 128.0);
                let worst = row.iter().zip(read).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 0.5001 * step, "{worst} with steps of {step}");
            }
        }
    }
}

#[test]
fn a_transposed_matrix_packs_like_the_matrix() {
    let (outputs, inputs) = (70, 35);
    let source = matrix(outputs * inputs);
    let transposed: Vec<f32> = (0..source.len()).map(|i| source[i % outputs * inputs + i / outputs]).collect();
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let direct = Weight::pack(&pool(), &source, outputs, inputs, precision);
        let other = Weight::pack_transposed(&pool(), &transposed, outputs, inputs, precision);
        assert_eq!(direct.words[..], other.words[..]);
    }
}

#[test]
fn repacking_replaces_everything() {
    let (outputs, inputs) = (50, 9);
    let (first, second) = (vec![3.0; outputs * inputs], matrix(outputs * inputs));
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let mut weight = Weight::pack(&pool(), &first, outputs, inputs, precision);
        weight.repack(&pool(), &second);
        let fresh = Weight::pack(&pool(), &second, outputs, inputs, precision);
        assert_eq!(weight.words[..], fresh.words[..]);
    }
}

#[test]
fn packed_sizes_are_what_the_precisions_promise() {
    let bytes = |precision| Weight::zeroed(96, 64, precision).bytes();
    assert_eq!(bytes(Precision::F32), 96 * 64 * 4);
    assert_eq!(bytes(Precision::Bf16), 96 * 64 * 2);
    assert_eq!(bytes(Precision::Int8), 96 * 64 + 96 * 4);
}

#[test]
#[should_panic(expected = "does not start with a panel")]
fn a_block_of_outputs_starts_with_a_panel() {
    Weight::zeroed(100, 4, Precision::F32).output_range(10..48);
}

#[test]
#[should_panic(expected = "ends inside a group")]
fn a_block_of_inputs_ends_with_a_group() {
    Weight::zeroed(100, 4, Precision::Bf16).input_range(0..3);
}
