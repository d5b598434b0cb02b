//! Tests of the whole command, as a user sees it, and of the rules that the repository keeps.

#[cfg(test)]
mod bound;
#[cfg(test)]
mod config;
#[cfg(test)]
mod data;
#[cfg(test)]
mod endpoint;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod help;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod lab_objective;
#[cfg(test)]
#[cfg(unix)]
mod pull;
#[cfg(test)]
mod reward;
#[cfg(test)]
#[cfg(unix)]
mod rewards;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod score;
#[cfg(test)]
#[cfg(unix)]
mod serve;
#[cfg(test)]
mod show;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
