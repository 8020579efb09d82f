//! Whether an object is as it should be: a table from kind to check, and the generic rule for all others.
