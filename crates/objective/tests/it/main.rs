//! Tests of the objectives against exact values, identities, enumeration, finite differences and golden vectors.

#[cfg(test)]
mod advantages;
#[cfg(test)]
mod estimators;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod gradients;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod invariances;
#[cfg(test)]
mod iteration;
#[cfg(test)]
mod methods;
#[cfg(test)]
mod random;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod seeking;

/// Agreement to 1e-12, relative for values above one.
#[cfg(test)]
fn assert_close(found: f64, expected: f64) {
    let tolerance = 1e-12 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
}
