//! Evaluation on scripted arms.
