//! CPU kernels: the only crate with `unsafe`.
