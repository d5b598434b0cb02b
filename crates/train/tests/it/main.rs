//! Training loops on models and targets that are small enough to know everything about them.

#[cfg(test)]
mod invariances;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tabular;
