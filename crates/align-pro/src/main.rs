//! The align-pro command.

fn main() {}
