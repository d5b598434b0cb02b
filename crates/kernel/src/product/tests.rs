use super::*;
use crate::Weight;
use crate::test_support::random;
use proptest::prelude::*;
use std::num::NonZeroUsize;

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

fn pool(threads: usize, isa: Isa) -> Pool {
    Pool::with_isa(NonZeroUsize::new(threads).unwrap(), isa)
}

fn available_isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn packed(pool: &Pool, precision: Precision, x: &[f32], rows: usize, inputs: usize) -> Rows {
    let mut packed = Rows::new(precision);
    packed.pack(pool, x, rows, inputs);
    packed
}

/// The numbers that packing leaves of a matrix, read back through a weight: rounding is the same on both sides.
fn rounded(pool: &Pool, precision: Precision, source: &[f32], rows: usize, inputs: usize) -> Vec<f64> {
    let weight = Weight::pack(pool, source, rows, inputs, precision);
    let mut row = vec![0.0; inputs];
    let read = |index| {
        weight.row(index, &mut row);
        row.iter().map(|&number| f64::from(number)).collect::<Vec<f64>>()
    };
    (0..rows).flat_map(read).collect()
}

/// x Wᵀ in f64, and the same of magnitudes: what rounding errors are relative to.
fn reference(x: &[f64], w: &[f64], [rows, outputs, inputs]: [usize; 3]) -> Vec<(f64, f64)> {
    let dot = |index: usize| {
        let (x, w) = (&x[index / outputs * inputs..][..inputs], &w[index % outputs * inputs..][..inputs]);
        x.iter().zip(w).fold((0.0, 0.0), |(sum, size), (x, w)| (sum + x * w, size + (x * w).abs()))
    };
    (0..rows * outputs).map(dot).collect()
}

struct Case {
    rows: usize,
    outputs: usize,
    inputs: usize,
    rank: usize,
    bias: bool,
    accumulate: bool,
}

impl Case {
    fn plain(rows: usize, outputs: usize, inputs: usize) -> Case {
        Case { rows, outputs, inputs, rank: 0, bias: false, accumulate: false }
    }

    /// Compares a product in every precision with f64 arithmetic on the rounded operands.
    fn check(&self, pool: &Pool) {
        let &Case { rows, outputs, inputs, rank, .. } = self;
        let (x, w) = (random(1, rows * inputs), random(2, outputs * inputs));
        let (u, b) = (random(3, rows * (rank + 5)), random(4, outputs * rank));
        let (bias, before) = (random(5, outputs), random(6, rows * outputs));
        let packed_b = Weight::pack(pool, &b, outputs, rank, Precision::F32);
        let u = (rank > 0).then(|| Columns::new(&u, rank + 5, 2..rank + 2));
        let epilogue = Epilogue {
            low_rank: u.map(|u| LowRank { u, b: (&packed_b).into() }),
            bias: self.bias.then_some(&bias[..]),
            accumulate: self.accumulate,
        };
        for precision in PRECISIONS {
            let weight = Weight::pack(pool, &w, outputs, inputs, precision);
            let mut out = before.clone();
            product(pool, &packed(pool, precision, &x, rows, inputs), &weight, &epilogue, &mut out);

            let x = rounded(pool, precision, &x, rows, inputs);
            let w = rounded(pool, precision, &w, outputs, inputs);
            let mut expected = reference(&x, &w, [rows, outputs, inputs]);
            let mut add = |index: usize, term: f64| {
                expected[index].0 += term;
                expected[index].1 += term.abs();
            };
            for (index, &before) in before.iter().enumerate() {
                let (row, output) = (index / outputs, index % outputs);
                for j in 0..rank {
                    let b = f64::from(b[output * rank + j]);
                    u.iter().for_each(|u| add(index, f64::from(u.row(row)[j]) * b));
                }
                add(index, if self.bias { f64::from(bias[output]) } else { 0.0 });
                add(index, if self.accumulate { f64::from(before) } else { 0.0 });
            }
            for (index, (&out, &(sum, size))) in out.iter().zip(&expected).enumerate() {
                let error = (f64::from(out) - sum).abs();
                let place = (index / outputs, index % outputs);
                assert!(error <= 1e-6 * size, "{precision:?} {rows}x{outputs}x{inputs} {place:?}: {out} {sum}");
            }
        }
    }
}

#[test]
fn every_number_of_rows_and_every_remainder_agrees_with_f64() {
    for isa in available_isas() {
        let pool = pool(2, isa);
        for rows in 1..=20 {
            for outputs in [1, 15, 16, 47, 48, 49, 97, 240] {
                Case::plain(rows, outputs, 37).check(&pool);
            }
            for inputs in 1..=9 {
                Case::plain(rows, 50, inputs).check(&pool);
            }
        }
    }
}

#[test]
fn the_epilogue_agrees_with_f64() {
    for isa in available_isas() {
        let pool = pool(2, isa);
        for rows in 1..=20 {
            for (rank, bias, accumulate) in
                [(4, false, false), (0, true, false), (0, false, true), (3, true, true), (16, false, true)]
            {
                Case { rank, bias, accumulate, ..Case::plain(rows, 100, 19) }.check(&pool);
            }
        }
    }
}

#[test]
fn many_rows_agree_with_f64() {
    for isa in available_isas() {
        let pool = pool(2, isa);
        for rows in [63, 64, 200, 333] {
            Case { rank: 8, ..Case::plain(rows, 130, 300) }.check(&pool);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape_agrees_with_f64(
        rows in 0_usize..40,
        outputs in 0_usize..200,
        inputs in 0_usize..90,
        rank in 0_usize..20,
        bias: bool,
        accumulate: bool,
        threads in 1_usize..4,
    ) {
        for isa in available_isas() {
            Case { rows, outputs, inputs, rank, bias, accumulate }.check(&pool(threads, isa));
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company_and_with_any_threads() {
    let (rows, outputs, inputs, rank) = (20, 250, 77, 5);
    let (x, w) = (random(1, rows * inputs), random(2, outputs * inputs));
    let (u, b) = (random(3, rows * rank), random(4, outputs * rank));
    for (isa, precision) in available_isas().flat_map(|isa| PRECISIONS.map(|precision| (isa, precision))) {
        let compute = |threads: usize, first: usize, count: usize| {
            let pool = pool(threads, isa);
            let part = |data: &[f32], width: usize| data[first * width..(first + count) * width].to_vec();
            let u = part(&u, rank);
            let b = Weight::pack(&pool, &b, outputs, rank, Precision::F32);
            let low_rank = Some(LowRank { u: Columns::all(&u, rank), b: (&b).into() });
            let mut out = vec![f32::NAN; count * outputs];
            let x = packed(&pool, precision, &part(&x, inputs), count, inputs);
            let w = Weight::pack(&pool, &w, outputs, inputs, precision);
            product(&pool, &x, &w, &Epilogue { low_rank, ..Epilogue::default() }, &mut out);
            out
        };
        let alone: Vec<f32> = (0..rows).flat_map(|row| compute(1, row, 1)).collect();
        for threads in 1..=3 {
            for count in 1..=rows {
                let first = (rows - count) / 2;
                let expected = &alone[first * outputs..(first + count) * outputs];
                assert!(compute(threads, first, count) == expected, "{isa:?} {precision:?} {threads} {count}");
            }
        }
    }
}

#[test]
fn blocks_of_outputs_are_the_columns_of_the_whole() {
    let (rows, outputs, inputs) = (7, 200, 33);
    let (x, w) = (random(1, rows * inputs), random(2, outputs * inputs));
    for (isa, precision) in available_isas().flat_map(|isa| PRECISIONS.map(|precision| (isa, precision))) {
        let pool = pool(2, isa);
        let x = packed(&pool, precision, &x, rows, inputs);
        let w = Weight::pack(&pool, &w, outputs, inputs, precision);
        let mut whole = vec![0.0; rows * outputs];
        product(&pool, &x, &w, &Epilogue::default(), &mut whole);
        for range in [0..48, 48..144, 96..200, 192..200, 48..48] {
            let mut part = vec![0.0; rows * range.len()];
            product(&pool, &x, w.output_range(range.clone()), &Epilogue::default(), &mut part);
            let columns = whole.chunks(outputs).flat_map(|row| &row[range.clone()]);
            assert!(columns.eq(&part), "{isa:?} {precision:?} {range:?}");
        }
    }
}

#[test]
fn blocks_of_inputs_add_up_to_the_whole() {
    let (rows, outputs, inputs) = (6, 100, 50);
    let (x, w) = (random(1, rows * inputs), random(2, outputs * inputs));
    for (isa, precision) in available_isas().flat_map(|isa| [Precision::F32, Precision::Bf16].map(|p| (isa, p))) {
        let pool = pool(2, isa);
        let w = Weight::pack(&pool, &w, outputs, inputs, precision);
        let mut whole = vec![0.0; rows * outputs];
        product(&pool, &packed(&pool, precision, &x, rows, inputs), &w, &Epilogue::default(), &mut whole);
        let mut sum = vec![0.0; rows * outputs];
        for range in [0..12, 12..36, 36..50] {
            let part: Vec<f32> = x.chunks(inputs).flat_map(|row| row[range.clone()].to_vec()).collect();
            let part = packed(&pool, precision, &part, rows, range.len());
            let accumulate = Epilogue { accumulate: true, ..Epilogue::default() };
            product(&pool, &part, w.input_range(range), &accumulate, &mut sum);
        }
        assert!(whole.iter().zip(&sum).all(|(a, b)| (a - b).abs() < 1e-5), "{isa:?} {precision:?}");
    }
}

#[test]
fn eight_bit_sums_are_exact_and_alike_everywhere() {
    let (rows, outputs, inputs) = (11, 60, 1000);
    let (x, w) = (random(1, rows * inputs), random(2, outputs * inputs));
    let compute = |isa| {
        let pool = pool(1, isa);
        let mut out = vec![0.0; rows * outputs];
        let w = Weight::pack(&pool, &w, outputs, inputs, Precision::Int8);
        product(&pool, &packed(&pool, Precision::Int8, &x, rows, inputs), &w, &Epilogue::default(), &mut out);
        out
    };
    let expected = compute(Isa::Portable);
    available_isas().for_each(|isa| assert!(compute(isa) == expected, "{isa:?}"));
}

#[test]
fn what_is_not_a_number_stays_so() {
    for (isa, precision) in available_isas().flat_map(|isa| PRECISIONS.map(|precision| (isa, precision))) {
        let pool = pool(1, isa);
        let w = Weight::pack(&pool, &[1.0; 8], 2, 4, precision);
        for bad in [f32::NAN, f32::INFINITY] {
            let x = packed(&pool, precision, &[1.0, bad, 0.5, 2.0], 1, 4);
            let mut out = [0.0; 2];
            product(&pool, &x, &w, &Epilogue::default(), &mut out);
            assert!(out.iter().all(|number| !number.is_finite()), "{isa:?} {precision:?} {bad} gave {out:?}");
        }
    }
}
