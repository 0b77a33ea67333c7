//! What a batch is made with, and what it tells of its plans.

use crate::handle::count;
use relayattn_sys as sys;
use std::ffi::c_void;
use std::ops::BitOr;
use std::ptr::null_mut;

/// How a batch treats runs of tokens that several of its sequences share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum PlanMode {
    /// The cost model chooses for each run: the right one unless you compare.
    #[default]
    Auto = sys::RA_MODE_AUTO,
    /// Read a shared run once for each sequence.
    Flat = sys::RA_MODE_FLAT,
    /// Read a shared run once for all of them.
    Relay = sys::RA_MODE_RELAY,
}

/// What a batch shall be able to do; join them by `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanFlags(i32);

impl PlanFlags {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// Attends can be captured in a CUDA graph and replayed in later steps; needs
    /// [`max_rows`](PlanOptions::max_rows) and [`max_tokens`](PlanOptions::max_tokens).
    pub const GRAPH: Self = Self(sys::RA_PLAN_GRAPH);
    /// A sequence's output has the same bits in any batch. Slower; the mode is not considered.
    pub const BATCH_INVARIANT: Self = Self(sys::RA_PLAN_BATCH_INVARIANT);
    /// Steps may have a tree mask.
    pub const TREE: Self = Self(sys::RA_PLAN_TREE);
    /// Reserved: lengths known on the device only.
    pub const DEVICE_LENS: Self = Self(sys::RA_PLAN_DEVICE_LENS);
    /// Reserved: find shared runs in plain page tables.
    pub const FIND_SHARED: Self = Self(sys::RA_PLAN_FIND_SHARED);

    /// The bits of the C API, `RA_PLAN_*`.
    pub fn bits(self) -> i32 {
        self.0
    }

    /// The flags with these bits; the library answers unknown ones with `Argument`.
    pub fn from_bits(bits: i32) -> Self {
        Self(bits)
    }
}

impl BitOr for PlanFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// For [`Cache::batch`](crate::Cache::batch). The defaults suit most programs.
///
/// A bound of 0 is no bound: the batch then begins with room for 64 sequences, and a step that needs
/// more allocates it. A step beyond a bound that was given is an `Argument` error.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    pub(crate) raw: sys::ra_plan_options,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            raw: sys::ra_plan_options {
                struct_size: size_of::<sys::ra_plan_options>() as i64,
                max_rows: 0,
                max_tokens: 0,
                max_runs: 0,
                max_kv_tokens: 0,
                mode: sys::RA_MODE_AUTO,
                flags: 0,
                scratch: null_mut(),
                scratch_size: 0,
                metadata: null_mut(),
                metadata_size: 0,
            },
        }
    }
}

impl PlanOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many sequences in a step.
    pub fn max_rows(mut self, rows: usize) -> Self {
        self.raw.max_rows = count(rows);
        self
    }

    /// At most so many new tokens in a step, padded ones included.
    pub fn max_tokens(mut self, tokens: usize) -> Self {
        self.raw.max_tokens = count(tokens);
        self
    }

    /// Room for so many prefixes, forks and tails in the tree of a step; 0: 4 a sequence.
    pub fn max_runs(mut self, runs: usize) -> Self {
        self.raw.max_runs = count(runs);
        self
    }

    /// Room for so many tokens in that tree, a shared one counted once; 0: the whole cache.
    pub fn max_kv_tokens(mut self, tokens: usize) -> Self {
        self.raw.max_kv_tokens = count(tokens);
        self
    }

    /// How shared runs are treated.
    pub fn mode(mut self, mode: PlanMode) -> Self {
        self.raw.mode = mode as i32;
        self
    }

    /// What the batch shall be able to do.
    pub fn flags(mut self, flags: PlanFlags) -> Self {
        self.raw.flags = flags.bits();
        self
    }

    /// Device memory for parts of results, as large as
    /// [`Cache::batch_memory`](crate::Cache::batch_memory) says. Batches whose attends never run at once
    /// may share it. The batch can then not grow.
    ///
    /// # Safety
    ///
    /// `memory` has `bytes` bytes of the device's memory, which stay valid until every batch made with
    /// these options is dropped and its work done, and which nothing else uses meanwhile.
    pub unsafe fn scratch(mut self, memory: *mut c_void, bytes: usize) -> Self {
        (self.raw.scratch, self.raw.scratch_size) = (memory, count(bytes));
        self
    }

    /// Device memory for the work list of one batch alone.
    ///
    /// # Safety
    ///
    /// As for [`scratch`](Self::scratch), and only one batch is made with these options.
    pub unsafe fn metadata(mut self, memory: *mut c_void, bytes: usize) -> Self {
        (self.raw.metadata, self.raw.metadata_size) = (memory, count(bytes));
        self
    }
}

/// Bytes that a batch needs, from [`Cache::batch_memory`](crate::Cache::batch_memory).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanMemory {
    /// For parts of results.
    pub scratch: usize,
    /// For the work list.
    pub metadata: usize,
}

/// What [`Batch::query`](crate::Batch::query) tells of the plan of a layer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum PlanInfo {
    /// Kernel launches of one attend; 1 for the CPU.
    Launches = sys::RA_PLAN_INFO_LAUNCHES,
    /// Work items, each computed for every KV head.
    Items = sys::RA_PLAN_INFO_ITEMS,
    /// Stretches of tokens in the step's tree, tails included.
    Runs = sys::RA_PLAN_INFO_RUNS,
    /// Of these, how many are read once for all below them.
    RelayRuns = sys::RA_PLAN_INFO_RELAY_RUNS,
    /// Parts of output rows that get merged.
    Partials = sys::RA_PLAN_INFO_PARTIALS,
    /// Bytes of K and V that one attend reads.
    KvBytes = sys::RA_PLAN_INFO_KV_BYTES,
    /// The cost model's estimate for one attend, in nanoseconds.
    PredictedNs = sys::RA_PLAN_INFO_PREDICTED_NS,
}
