//! Key/value caches with shared prefixes, and exact attention over them.
//!
//! A service answers many requests that begin with the same long prompt. Plain attention reads that
//! prompt's keys and values (K and V) once per request, at every step. This library keeps them once and
//! reads them once per step for all requests together, with exact results: the method is
//! RelayAttention (ACL 2024), here for a tree of prefixes of any depth, and for steps that mix
//! decoding, prefill and speculative verification.
//!
#![doc = include_str!("../README.md")]
//!
//! # The objects
//!
//! | type | what it is |
//! |---|---|
//! | [`Context`] | one device: a CPU with some threads, or a GPU |
//! | [`Model`] | what every layer looks like; caches take a copy |
//! | [`Cache`] | pages of K and V, for every layer of a model |
//! | [`OpenPrefix`] | tokens that many will share, while they are being written |
//! | [`Prefix`] | the same, sealed: it never changes again. Prefixes form a tree |
//! | [`Sequence`] | one request: its prefix's tokens, then its own growing tail |
//! | [`Batch`] | steps of many sequences, with the memory that they need |
//! | [`Step`] | one step: attend each layer, then commit or abort |
//!
//! Each object keeps alive what it needs, so they may be dropped in any order, from any thread, and
//! are `Send` and `Sync`. Pages return to the cache when the last prefix, sequence or step that holds
//! them is gone.
//!
//! # Tensors
//!
//! Tensors are ragged, `[tokens, heads, dim]`, and passed in place: [`View`] and [`ViewMut`] are slices
//! with two strides, in elements. The rows of q, out, k and v of a step are the new tokens of its first
//! sequence, then those of its second, and so on. Each call knows its tensors' shapes and types from
//! the model and the step, and fails with [`ErrorCode::Argument`] where a slice is too short.
//!
//! On a GPU tensors are device memory: [`View::from_device`], and work is ordered on a [`Queue`].
//! Their constructors are the `unsafe` part of this crate, as no one can check there what they promise.
//! On the CPU every call has completed when it returns.
//!
//! # What misuse comes to
//!
//! Calls that fail return an [`Error`] with a code and a sentence, and leave every object as it was. A
//! wrong order of calls mostly does not compile. Nothing is attended without a step:
//!
//! ```compile_fail,E0599
//! fn wrong(batch: &mut relayattn::Batch, args: &mut relayattn::AttendArgs) {
//!     batch.attend(0, args);
//! }
//! ```
//!
//! A batch has one step at a time, which ends when it is committed:
//!
//! ```compile_fail,E0499
//! fn wrong(batch: &mut relayattn::Batch, a: &relayattn::Sequence) {
//!     let first = batch.begin([(a, 1)]).unwrap();
//!     let second = batch.begin([(a, 1)]).unwrap();
//!     first.commit();
//! }
//! ```
//! ```compile_fail,E0382
//! fn wrong(step: relayattn::Step, args: &mut relayattn::AttendArgs) {
//!     let mut step = step;
//!     step.commit();
//!     step.attend(0, args);
//! }
//! ```
//!
//! A sequence is neither shortened nor dropped while it is in a step:
//!
//! ```compile_fail,E0502
//! fn wrong(batch: &mut relayattn::Batch, a: &mut relayattn::Sequence) {
//!     let step = batch.begin([(&*a, 1)]).unwrap();
//!     a.truncate(0);
//!     step.commit();
//! }
//! ```
//! ```compile_fail,E0505
//! fn wrong(batch: &mut relayattn::Batch, a: relayattn::Sequence) {
//!     let step = batch.begin([(&a, 1)]).unwrap();
//!     drop(a);
//!     step.commit();
//! }
//! ```
//!
//! Only a sealed prefix can be attached to, and it cannot be written any more:
//!
//! ```compile_fail,E0277
//! fn wrong(cache: &relayattn::Cache, prompt: &relayattn::OpenPrefix) {
//!     cache.attach(prompt);
//! }
//! ```
//! ```compile_fail,E0382
//! fn wrong(mut prompt: relayattn::OpenPrefix, k: &[f32], v: &[f32]) {
//!     prompt.seal();
//!     prompt.write(0, 0..1, k, v);
//! }
//! ```
//!
//! A buffer is neither read nor dropped while it is to be written:
//!
//! ```compile_fail,E0503
//! fn wrong(step: &mut relayattn::Step, q: &[f32], out: &mut [f32]) {
//!     let mut args = relayattn::AttendArgs::new(q, &mut *out);
//!     let early = out[0];
//!     step.attend(0, &mut args);
//! }
//! ```

mod args;
mod batch;
mod cache;
mod context;
mod error;
mod handle;
mod merge;
mod model;
mod plan;
mod prefix;
mod queue;
mod sequence;
mod step;
mod view;

pub use args::AttendArgs;
pub use batch::{Batch, Row, Span, StepOptions};
pub use cache::{Cache, CacheOptions, LayerMemory, PageLayout, Pages};
pub use context::{Backend, Context, ContextOptions, Isa, LogLevel};
pub use error::{Error, ErrorCode, Result};
pub use merge::MergeArgs;
pub use model::{Dtype, LayerOptions, Model, Retain, Window};
pub use plan::{PlanFlags, PlanInfo, PlanMemory, PlanMode, PlanOptions};
pub use prefix::{OpenPrefix, Prefix, PrefixLength};
pub use queue::Queue;
#[cfg(feature = "dlopen")]
pub use relayattn_sys::load;
pub use sequence::{Sequence, SequenceLength};
pub use step::{Kept, SharedLayer, Step};
pub use view::{Element, View, ViewMut};

/// The C API, for what this crate does not say. Each type here has a `raw` function.
pub use relayattn_sys as sys;

/// The version of the library that is linked or loaded: 10000 * major + 100 * minor + patch.
pub fn library_version() -> i64 {
    // SAFETY: it has no arguments.
    unsafe { sys::ra_version() }
}
