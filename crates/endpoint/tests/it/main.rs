//! The client against a server that misbehaves by script.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod json;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod support;
