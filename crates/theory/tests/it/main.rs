//! Integration tests: fixtures, enumeration and simulation.
#![cfg(test)]

mod bound;
mod closed_form;
mod estimate;
mod fixed_point;
mod interval;
mod law;
mod owa;
mod random_world;
mod variance;
mod world;

/// Asserts that two figures agree within an absolute tolerance.
#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected} within {tolerance}");
}

/// Asserts that two tables agree entry by entry.
#[track_caller]
fn all_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        close(*found, *expected, tolerance);
    }
}
