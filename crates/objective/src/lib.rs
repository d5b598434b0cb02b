//! Objectives over log-probabilities and rewards.
