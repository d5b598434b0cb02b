//! Small symmetric linear systems.

/// Solves A x = b by Cholesky's factorisation, writing x into `b`; `None` when A is not positive definite.
///
/// `matrix` holds A row by row and is overwritten by its factor; `b` is left as it was when there is no solution.
pub(super) fn solve_positive_definite(matrix: &mut [f64], b: &mut [f64]) -> Option<()> {
    let n = b.len();
    for row in 0..n {
        for column in 0..=row {
            let dot: f64 = (0..column).map(|k| matrix[row * n + k] * matrix[column * n + k]).sum();
            let rest = matrix[row * n + column] - dot;
            if column < row {
                matrix[row * n + column] = rest / matrix[column * n + column];
            } else if rest > 0.0 {
                matrix[row * n + row] = rest.sqrt();
            } else {
                return None; // also when it is NaN
            }
        }
    }
    for row in 0..n {
        let dot: f64 = (0..row).map(|k| matrix[row * n + k] * b[k]).sum();
        b[row] = (b[row] - dot) / matrix[row * n + row];
    }
    for row in (0..n).rev() {
        let dot: f64 = (row + 1..n).map(|k| matrix[k * n + row] * b[k]).sum();
        b[row] = (b[row] - dot) / matrix[row * n + row];
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::solve_positive_definite;

    #[test]
    fn solves_a_system_and_refuses_a_saddle() {
        let (mut matrix, mut b) = ([4.0, 2.0, 2.0, 3.0], [2.0, 5.0]);
        solve_positive_definite(&mut matrix, &mut b).unwrap();
        assert!((b[0] + 0.5).abs() < 1e-15 && (b[1] - 2.0).abs() < 1e-15);
        let mut untouched = [1.0, 1.0];
        assert_eq!(solve_positive_definite(&mut [1.0, 2.0, 2.0, 1.0], &mut untouched), None);
        assert_eq!(untouched, [1.0, 1.0]);
    }
}
