//! Closed forms, bounds, estimators and intervals.
