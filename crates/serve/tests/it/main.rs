//! The server over an engine that does what a test says: batches, queues, ends.

#[cfg(test)]
mod support;

#[cfg(test)]
mod batches;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod limits;
