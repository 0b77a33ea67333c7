//! All tests but those that count allocations, in one program.

#![allow(missing_docs)]

mod counts;
#[cfg(feature = "half")]
mod elements;
mod log;
mod misuse;
#[cfg(feature = "ndarray")]
mod ndarrays;
mod relay_equals_flat;
mod scenario;
mod scene;
mod statuses;
mod steps;
mod storm;
mod views;
mod workers;
