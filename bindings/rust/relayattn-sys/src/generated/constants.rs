// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::types::ra_status;

/// The version of this header; ra_version() is the library's.
pub const RA_VERSION_MAJOR: i64 = 0;
/// RA_VERSION_MINOR of the header.
pub const RA_VERSION_MINOR: i64 = 1;
/// RA_VERSION_PATCH of the header.
pub const RA_VERSION_PATCH: i64 = 0;
/// RA_VERSION of the header.
pub const RA_VERSION: i64 = 100;
/// RA_OK of the header.
pub const RA_OK: ra_status = 0;
/// a value out of its bounds: a mistake in the calling program
pub const RA_ERROR_ARGUMENT: ra_status = -1;
/// a handle that is null, released, of another type, or never given out
pub const RA_ERROR_HANDLE: ra_status = -2;
/// the object is not in the state that this call needs (an open prefix
/// is attached to, a batch attends before it begins): call in order
pub const RA_ERROR_STATE: ra_status = -3;
/// the batch is in use by another thread, or the sequence is in an open
/// step: try again when that is over
pub const RA_ERROR_BUSY: ra_status = -4;
/// legal, but not in this version or on this device: do without
pub const RA_ERROR_UNSUPPORTED: ra_status = -5;
/// host or device memory ran out: release something, or ask for less
pub const RA_ERROR_MEMORY: ra_status = -6;
/// the cache has too few free pages: release sequences or prefixes, or
/// let requests wait; ordinary under load
pub const RA_ERROR_PAGES: ra_status = -7;
/// a window layer has given back tokens that this would need: keep more
/// (ra_layer_options.retain), or compute them again
pub const RA_ERROR_NOT_RETAINED: ra_status = -8;
/// the device, its driver or the plugin is missing or failed
pub const RA_ERROR_DEVICE: ra_status = -9;
/// a defect of the library: please report it with the error's text
pub const RA_ERROR_INTERNAL: ra_status = -10;
/// CUDA if its plugin and a GPU are there, else the CPU
///
/// Where a context computes.
pub const RA_BACKEND_AUTO: i32 = 0;
/// Where a context computes.
pub const RA_BACKEND_CPU: i32 = 1;
/// needs librelayattn-cuda.so, an NVIDIA driver and GPU
///
/// Where a context computes.
pub const RA_BACKEND_CUDA: i32 = 2;
/// IEEE binary32
///
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_F32: i32 = 1;
/// IEEE binary16
///
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_F16: i32 = 2;
/// the upper half of a binary32
///
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_BF16: i32 = 3;
/// \[R\] this one and all below
///
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_F8E4M3: i32 = 4;
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_F8E5M2: i32 = 5;
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_I8: i32 = 6;
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_Q8_0: i32 = 7;
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_I4: i32 = 8;
/// Element types. q, K with V, and out may each be any of the first three.
pub const RA_F4E2M1: i32 = 9;
/// K and V each have pages
///
/// How K and V are kept.
pub const RA_KV_SEPARATE: i32 = 0;
/// \[R\] one latent vector serves as both
///
/// How K and V are kept.
pub const RA_KV_LATENT: i32 = 1;
/// all
///
/// Which keys a query sees to its left; section 3 has the formulas.
pub const RA_WINDOW_NONE: i32 = 0;
/// the last \`window\`, its own included
///
/// Which keys a query sees to its left; section 3 has the formulas.
pub const RA_WINDOW_SLIDING: i32 = 1;
/// those of its own chunk of \`window\` positions
///
/// Which keys a query sees to its left; section 3 has the formulas.
pub const RA_WINDOW_CHUNKED: i32 = 2;
/// not quantised
///
/// What one scale of quantised K or V covers. All but NONE are \[R\].
pub const RA_SCALE_NONE: i32 = 0;
/// What one scale of quantised K or V covers. All but NONE are \[R\].
pub const RA_SCALE_TENSOR: i32 = 1;
/// What one scale of quantised K or V covers. All but NONE are \[R\].
pub const RA_SCALE_HEAD: i32 = 2;
/// What one scale of quantised K or V covers. All but NONE are \[R\].
pub const RA_SCALE_TOKEN_HEAD: i32 = 3;
/// What one scale of quantised K or V covers. All but NONE are \[R\].
pub const RA_SCALE_CHANNEL: i32 = 4;
/// its int32_t index in the pool; what every cache uses
///
/// What names a page in a table.
pub const RA_TABLE_INDEX32: i32 = 0;
/// its address; not answered by this version
///
/// What names a page in a table.
pub const RA_TABLE_ADDRESS64: i32 = 1;
/// the cost model chooses for each run: the right one unless you compare
///
/// How a batch treats runs of tokens that several of its sequences share.
pub const RA_MODE_AUTO: i32 = 0;
/// read a shared run once for each sequence
///
/// How a batch treats runs of tokens that several of its sequences share.
pub const RA_MODE_FLAT: i32 = 1;
/// read a shared run once for all of them
///
/// How a batch treats runs of tokens that several of its sequences share.
pub const RA_MODE_RELAY: i32 = 2;
/// attend can be captured in a CUDA graph and replayed in later
/// steps; max_rows and max_tokens must be set. CUDA only
///
/// Bits of ra_plan_options.flags.
pub const RA_PLAN_GRAPH: i32 = 1;
/// same bits in any batch; \`mode\` is then not considered. Slower
///
/// Bits of ra_plan_options.flags.
pub const RA_PLAN_BATCH_INVARIANT: i32 = 2;
/// steps may have a tree_mask
///
/// Bits of ra_plan_options.flags.
pub const RA_PLAN_TREE: i32 = 4;
/// \[R\] lengths known on the device only
///
/// Bits of ra_plan_options.flags.
pub const RA_PLAN_DEVICE_LENS: i32 = 8;
/// \[R\] find shared runs in plain page tables
///
/// Bits of ra_plan_options.flags.
pub const RA_PLAN_FIND_SHARED: i32 = 16;
/// the sequence's new tokens all see each other
///
/// Bits of ra_batch_input.row_flags.
pub const RA_ROW_NONCAUSAL: i32 = 1;
/// its new tokens are queries only: no K, V of theirs is seen or kept.
/// For cross-attention and for asking again about what is cached
///
/// Bits of ra_batch_input.row_flags.
pub const RA_ROW_NEW_ABSENT: i32 = 2;
/// portable C++; also what every CUDA context answers
///
/// Instruction sets, as RA_CONTEXT_INFO_ISA tells them.
pub const RA_ISA_SCALAR: i32 = 0;
/// with FMA and F16C
///
/// Instruction sets, as RA_CONTEXT_INFO_ISA tells them.
pub const RA_ISA_AVX2: i32 = 1;
/// F, BW, VL and DQ
///
/// Instruction sets, as RA_CONTEXT_INFO_ISA tells them.
pub const RA_ISA_AVX512: i32 = 2;
/// with BF16; chosen where its dot product is fast (AMD)
///
/// Instruction sets, as RA_CONTEXT_INFO_ISA tells them.
pub const RA_ISA_AVX512_BF16: i32 = 3;
/// and tiles of bf16
///
/// Instruction sets, as RA_CONTEXT_INFO_ISA tells them.
pub const RA_ISA_AMX: i32 = 4;
/// AArch64
///
/// Instruction sets, as RA_CONTEXT_INFO_ISA tells them.
pub const RA_ISA_NEON: i32 = 5;
/// RA_BACKEND_CPU or RA_BACKEND_CUDA: what AUTO became
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_BACKEND: i32 = 1;
/// the device's number; 0 for the CPU
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_ORDINAL: i32 = 2;
/// that compute, the calling one included; 0 for CUDA
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_NUM_THREADS: i32 = 3;
/// RA_ISA_\*: the kernels in use
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_ISA: i32 = 4;
/// compute capability, 90 = 9.0; 0 for the CPU
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_SM: i32 = 5;
/// the best page size, in tokens: what 0 stands for
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_PAGE_SIZE: i32 = 6;
/// 1 if RA_PLAN_GRAPH can be had
///
/// Properties for ra_context_query.
pub const RA_CONTEXT_INFO_GRAPHS: i32 = 7;
/// kernel launches of one attend; 1 for the CPU
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_LAUNCHES: i32 = 1;
/// work items, each computed for every KV head
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_ITEMS: i32 = 2;
/// stretches of tokens in the step's tree, tails included
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_RUNS: i32 = 3;
/// of these, how many are read once for all below them
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_RELAY_RUNS: i32 = 4;
/// float32 parts of output rows that get merged
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_PARTIALS: i32 = 5;
/// K and V that one attend reads: a relayed run once, a flat one
/// once for each sequence
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_KV_BYTES: i32 = 6;
/// the cost model's estimate for one attend
///
/// Properties for ra_batch_query: the plan of one layer group in the last step begun.
pub const RA_PLAN_INFO_PREDICTED_NS: i32 = 7;
