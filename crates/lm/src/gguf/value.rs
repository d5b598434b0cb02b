//! Values of GGUF metadata.

use std::fmt;

/// One metadata value; the widths of integers and floats are forgotten.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Real(f64),
    Bool(bool),
    Text(String),
    List(List),
}

/// A list of values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum List {
    Integers(Vec<i64>),
    Reals(Vec<f32>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

impl fmt::Display for Value {
    /// For error messages: short whatever the file holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(number) => write!(f, "{number}"),
            Value::Real(number) => write!(f, "{number}"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Text(text) if text.len() > 40 => write!(f, "a text of {} bytes", text.len()),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(List::Integers(list)) => write!(f, "a list of {} integers", list.len()),
            Value::List(List::Reals(list)) => write!(f, "a list of {} numbers", list.len()),
            Value::List(List::Bools(list)) => write!(f, "a list of {} flags", list.len()),
            Value::List(List::Texts(list)) => write!(f, "a list of {} texts", list.len()),
        }
    }
}
