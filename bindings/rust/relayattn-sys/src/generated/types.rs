// Generated from relayattn.h by bindings/rust/generate; do not edit.

use core::ffi::{c_char, c_void};
use core::mem::offset_of;

/// The version of this header; ra_version() is the library's.
pub const RA_VERSION_MAJOR: i64 = 0;
/// RA_VERSION_MINOR of the header.
pub const RA_VERSION_MINOR: i64 = 1;
/// RA_VERSION_PATCH of the header.
pub const RA_VERSION_PATCH: i64 = 0;
/// RA_VERSION of the header.
pub const RA_VERSION: i64 = 100;
/// What a call came to. Section 2 says what to do about each.
pub type ra_status = i32;
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
/// What an [`ra_context`] seems to point to. Never defined.
#[repr(C)]
pub struct ra_context_s {
    _opaque: [u8; 0],
}
/// Handles; section 2 has their rules. The structs are never defined.
pub type ra_context = *mut ra_context_s;
/// What an [`ra_model`] seems to point to. Never defined.
#[repr(C)]
pub struct ra_model_s {
    _opaque: [u8; 0],
}
/// A handle; section 2 has its rules.
pub type ra_model = *mut ra_model_s;
/// What an [`ra_cache`] seems to point to. Never defined.
#[repr(C)]
pub struct ra_cache_s {
    _opaque: [u8; 0],
}
/// A handle; section 2 has its rules.
pub type ra_cache = *mut ra_cache_s;
/// What an [`ra_prefix`] seems to point to. Never defined.
#[repr(C)]
pub struct ra_prefix_s {
    _opaque: [u8; 0],
}
/// A handle; section 2 has its rules.
pub type ra_prefix = *mut ra_prefix_s;
/// What an [`ra_sequence`] seems to point to. Never defined.
#[repr(C)]
pub struct ra_sequence_s {
    _opaque: [u8; 0],
}
/// A handle; section 2 has its rules.
pub type ra_sequence = *mut ra_sequence_s;
/// What an [`ra_batch`] seems to point to. Never defined.
#[repr(C)]
pub struct ra_batch_s {
    _opaque: [u8; 0],
}
/// A handle; section 2 has its rules.
pub type ra_batch = *mut ra_batch_s;
/// A receiver of log lines. \`user\` is what ra_context_set_log was given; \`level\` is 0 for
/// information and 1 for a warning; \`text\` is one line of UTF-8 without a line end, valid during the
/// call. It may be called from any thread inside any call that uses the context, one call at a time,
/// and must not call this library.
pub type ra_log_fn = Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char)>;
/// For ra_context_create.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_context_options {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// RA_BACKEND_\*; default RA_BACKEND_AUTO
    pub backend: i32,
    /// which GPU, from 0; default 0. Must be 0 for RA_BACKEND_CPU
    pub ordinal: i32,
    /// CPU threads that compute, the calling one included, 1 .. 1024. 0, the
    /// default: as many as the process's affinity and cgroup quota allow. 1: no
    /// thread is started. Not used by CUDA
    pub num_threads: i64,
    /// \[R\] must be -1, the default: memory is not bound to a node
    pub numa_node: i64,
}
const _: () = {
    assert!(size_of::<ra_context_options>() == 32);
    assert!(align_of::<ra_context_options>() == 8);
    assert!(offset_of!(ra_context_options, struct_size) == 0);
    assert!(offset_of!(ra_context_options, backend) == 8);
    assert!(offset_of!(ra_context_options, ordinal) == 12);
    assert!(offset_of!(ra_context_options, num_threads) == 16);
    assert!(offset_of!(ra_context_options, numa_node) == 24);
};
/// For ra_model_set_layers. Sizes must be set; the rest has useful defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_layer_options {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// 1 .. 65536, a multiple of num_kv_heads (GQA); equal for MHA
    pub num_q_heads: i64,
    /// 1 .. 65536; 1 for MQA
    pub num_kv_heads: i64,
    /// elements of a head of q and K: a multiple of 8 from 32 to 256
    pub head_dim_k: i64,
    /// elements of a head of V and out: likewise, and may differ
    pub head_dim_v: i64,
    /// RA_F32, RA_F16 or RA_BF16, here and below; default RA_BF16
    pub q_dtype: i32,
    /// of K in the pages and as given
    pub k_dtype: i32,
    /// must equal k_dtype, else RA_ERROR_UNSUPPORTED
    pub v_dtype: i32,
    /// must equal k_dtype, else RA_ERROR_UNSUPPORTED
    pub out_dtype: i32,
    /// RA_KV_SEPARATE, the default
    pub kv_form: i32,
    /// RA_SCALE_NONE, the default
    pub k_scale: i32,
    /// RA_SCALE_NONE, the default
    pub v_scale: i32,
    /// RA_WINDOW_\*; default RA_WINDOW_NONE
    pub window_kind: i32,
    /// tokens: of the window or of a chunk, 1 .. 2^31 - 1; 0 for no window
    pub window: i64,
    /// Tokens before a sequence's end, or a prefix's, whose K and V a window
    /// layer keeps; older whole pages are given back. 0, the default: window;
    /// -1: all; else at least window. More allows ra_sequence_truncate and the
    /// cuts of prefixes to go back further. 0 for no window
    pub retain: i64,
    /// -1, the default: the layer has K and V of its own. Else it attends over
    /// those of this lower layer, which must be set, have its own, and agree in
    /// num_kv_heads, head dims and KV dtype; if that layer has a window, this
    /// one's must keep no more tokens than it does
    pub kv_layer: i64,
    /// 1: every attend has sink_logits; 0, the default: none has
    pub uses_sinks: i32,
    /// 1: every attend has alibi_slopes; 0, the default: none has
    pub uses_alibi: i32,
    /// factor of q . k; 0, the default: 1/sqrt(head_dim_k). Finite
    pub softmax_scale: f32,
    /// cap of the scores, before ALiBi; 0, the default: none. Finite, \>= 0
    pub logit_softcap: f32,
}
const _: () = {
    assert!(size_of::<ra_layer_options>() == 112);
    assert!(align_of::<ra_layer_options>() == 8);
    assert!(offset_of!(ra_layer_options, struct_size) == 0);
    assert!(offset_of!(ra_layer_options, num_q_heads) == 8);
    assert!(offset_of!(ra_layer_options, num_kv_heads) == 16);
    assert!(offset_of!(ra_layer_options, head_dim_k) == 24);
    assert!(offset_of!(ra_layer_options, head_dim_v) == 32);
    assert!(offset_of!(ra_layer_options, q_dtype) == 40);
    assert!(offset_of!(ra_layer_options, k_dtype) == 44);
    assert!(offset_of!(ra_layer_options, v_dtype) == 48);
    assert!(offset_of!(ra_layer_options, out_dtype) == 52);
    assert!(offset_of!(ra_layer_options, kv_form) == 56);
    assert!(offset_of!(ra_layer_options, k_scale) == 60);
    assert!(offset_of!(ra_layer_options, v_scale) == 64);
    assert!(offset_of!(ra_layer_options, window_kind) == 68);
    assert!(offset_of!(ra_layer_options, window) == 72);
    assert!(offset_of!(ra_layer_options, retain) == 80);
    assert!(offset_of!(ra_layer_options, kv_layer) == 88);
    assert!(offset_of!(ra_layer_options, uses_sinks) == 96);
    assert!(offset_of!(ra_layer_options, uses_alibi) == 100);
    assert!(offset_of!(ra_layer_options, softmax_scale) == 104);
    assert!(offset_of!(ra_layer_options, logit_softcap) == 108);
};
/// How the pages of one layer lie in memory; ra_cache_layer fills it. Strides are in bytes. In a
/// packed layout the device's own order holds inside a page, which no formula here describes: token
/// and head strides are then 0, and K and V go in and out by ra_prefix_write, ra_prefix_read and
/// ra_batch_attend.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_page_layout {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// token slots of a page
    pub page_size: i64,
    /// of this layer's group
    pub num_pages: i64,
    /// RA_TABLE_INDEX32
    pub table_kind: i32,
    /// 1: CPU caches; 0: CUDA caches
    pub packed: i32,
    /// from page n to page n + 1 of K
    pub k_page_stride: i64,
    /// from a slot to the next
    pub k_token_stride: i64,
    /// from a head to the next; a head's elements are dense
    pub k_head_stride: i64,
    /// the same for V
    pub v_page_stride: i64,
    /// the same for V
    pub v_token_stride: i64,
    /// the same for V
    pub v_head_stride: i64,
}
const _: () = {
    assert!(size_of::<ra_page_layout>() == 80);
    assert!(align_of::<ra_page_layout>() == 8);
    assert!(offset_of!(ra_page_layout, struct_size) == 0);
    assert!(offset_of!(ra_page_layout, page_size) == 8);
    assert!(offset_of!(ra_page_layout, num_pages) == 16);
    assert!(offset_of!(ra_page_layout, table_kind) == 24);
    assert!(offset_of!(ra_page_layout, packed) == 28);
    assert!(offset_of!(ra_page_layout, k_page_stride) == 32);
    assert!(offset_of!(ra_page_layout, k_token_stride) == 40);
    assert!(offset_of!(ra_page_layout, k_head_stride) == 48);
    assert!(offset_of!(ra_page_layout, v_page_stride) == 56);
    assert!(offset_of!(ra_page_layout, v_token_stride) == 64);
    assert!(offset_of!(ra_page_layout, v_head_stride) == 72);
};
/// Where the pages of one layer lie: device memory, owned by the cache.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_layer_memory {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// page 0 of K
    pub k_pages: *mut c_void,
    /// page 0 of V
    pub v_pages: *mut c_void,
    /// \[R\] null
    pub k_scale: *mut f32,
    /// \[R\] null
    pub v_scale: *mut f32,
}
const _: () = {
    assert!(size_of::<ra_layer_memory>() == 40);
    assert!(align_of::<ra_layer_memory>() == 8);
    assert!(offset_of!(ra_layer_memory, struct_size) == 0);
    assert!(offset_of!(ra_layer_memory, k_pages) == 8);
    assert!(offset_of!(ra_layer_memory, v_pages) == 16);
    assert!(offset_of!(ra_layer_memory, k_scale) == 24);
    assert!(offset_of!(ra_layer_memory, v_scale) == 32);
};
/// A tensor \[tokens, heads, dim\] in device memory; section 2 has the rules of strides.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_view {
    /// first element, aligned to its size; null: not given
    pub data: *mut c_void,
    /// bytes; 0: heads \* dim \* element size
    pub token_stride: i64,
    /// bytes; 0: dim \* element size
    pub head_stride: i64,
}
const _: () = {
    assert!(size_of::<ra_view>() == 24);
    assert!(align_of::<ra_view>() == 8);
    assert!(offset_of!(ra_view, data) == 0);
    assert!(offset_of!(ra_view, token_stride) == 8);
    assert!(offset_of!(ra_view, head_stride) == 16);
};
/// K and V of num_tokens tokens, for ra_prefix_write and ra_prefix_read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_kv {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// \[num_tokens, num_kv_heads, head_dim_k\] of the layer's k_dtype
    pub k: ra_view,
    /// \[num_tokens, num_kv_heads, head_dim_v\] of the layer's v_dtype
    pub v: ra_view,
    /// null: a prefix knows its own slots
    pub slots: *const i64,
    /// at least 0
    pub num_tokens: i64,
}
const _: () = {
    assert!(size_of::<ra_kv>() == 72);
    assert!(align_of::<ra_kv>() == 8);
    assert!(offset_of!(ra_kv, struct_size) == 0);
    assert!(offset_of!(ra_kv, k) == 8);
    assert!(offset_of!(ra_kv, v) == 32);
    assert!(offset_of!(ra_kv, slots) == 56);
    assert!(offset_of!(ra_kv, num_tokens) == 64);
};
/// For ra_batch_create. The zeros of ra_plan_options_init suit most callers. max_rows and max_tokens
/// bound every step: a larger one is RA_ERROR_ARGUMENT. A bound of 0 is no bound: the plan then
/// begins with room for 64 sequences, and a begin that needs more allocates it. All four bounds also
/// size the plan. A batch with RA_PLAN_GRAPH or with memory of the caller's cannot grow: set them,
/// and a step that does not fit all the same is RA_ERROR_ARGUMENT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_plan_options {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// sequences of a step
    pub max_rows: i64,
    /// new tokens of a step, padded ones included; 0 sizes for 4 a sequence
    pub max_tokens: i64,
    /// prefixes, forks and tails in the tree of a step; 0: 4 a sequence
    pub max_runs: i64,
    /// tokens in that tree, a shared one once; 0: the whole cache
    pub max_kv_tokens: i64,
    /// RA_MODE_\*
    pub mode: i32,
    /// RA_PLAN_\* bits
    pub flags: i32,
    /// Device memory for parts of results, of any alignment; null: the batch's
    /// own. Batches whose attends never run at once may share it
    pub scratch: *mut c_void,
    /// bytes; at least what ra_batch_memory says
    pub scratch_size: i64,
    /// device memory for the work list, of this batch alone; null: its own
    pub metadata: *mut c_void,
    /// bytes; likewise
    pub metadata_size: i64,
}
const _: () = {
    assert!(size_of::<ra_plan_options>() == 80);
    assert!(align_of::<ra_plan_options>() == 8);
    assert!(offset_of!(ra_plan_options, struct_size) == 0);
    assert!(offset_of!(ra_plan_options, max_rows) == 8);
    assert!(offset_of!(ra_plan_options, max_tokens) == 16);
    assert!(offset_of!(ra_plan_options, max_runs) == 24);
    assert!(offset_of!(ra_plan_options, max_kv_tokens) == 32);
    assert!(offset_of!(ra_plan_options, mode) == 40);
    assert!(offset_of!(ra_plan_options, flags) == 44);
    assert!(offset_of!(ra_plan_options, scratch) == 48);
    assert!(offset_of!(ra_plan_options, scratch_size) == 56);
    assert!(offset_of!(ra_plan_options, metadata) == 64);
    assert!(offset_of!(ra_plan_options, metadata_size) == 72);
};
/// For ra_batch_attend and ra_batch_attend_worker: one layer of a step. T is the number of the
/// step's new tokens, P its padded_tokens; the heads and dims are the layer's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_attend_args {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// \[T + P, num_q_heads, head_dim_k\] of q_dtype; the last P are not read
    pub q: ra_view,
    /// \[T + P, num_q_heads, head_dim_v\] of out_dtype; the last P become 0
    pub out: ra_view,
    /// \[T, num_kv_heads, head_dim_k\] of k_dtype: what the new tokens' slots
    /// get. Rows of RA_ROW_NEW_ABSENT sequences are there, and not read
    pub k: ra_view,
    /// \[T, num_kv_heads, head_dim_v\] of v_dtype; given if and only if k is
    pub v: ra_view,
    /// null: a batch knows where k and v go
    pub slots: *const i64,
    /// where the log-sum-exps go, float32; null: not wanted
    pub lse: *mut f32,
    /// in floats: lse\[token \* token_stride + head \* head_stride\];
    pub lse_token_stride: i64,
    /// 0 and 0: dense, that is num_q_heads and 1
    pub lse_head_stride: i64,
    /// \[num_q_heads\], given if and only if the layer uses_sinks
    pub sink_logits: *const f32,
    /// \[num_q_heads\], given if and only if the layer uses_alibi
    pub alibi_slopes: *const f32,
    /// \[R\] null
    pub q_scale: *const f32,
    /// \[R\] null
    pub out_scale: *const f32,
    /// 0: the layer's. Finite
    pub softmax_scale: f32,
    /// 0: the layer's. Finite, \>= 0
    pub logit_softcap: f32,
}
const _: () = {
    assert!(size_of::<ra_attend_args>() == 176);
    assert!(align_of::<ra_attend_args>() == 8);
    assert!(offset_of!(ra_attend_args, struct_size) == 0);
    assert!(offset_of!(ra_attend_args, q) == 8);
    assert!(offset_of!(ra_attend_args, out) == 32);
    assert!(offset_of!(ra_attend_args, k) == 56);
    assert!(offset_of!(ra_attend_args, v) == 80);
    assert!(offset_of!(ra_attend_args, slots) == 104);
    assert!(offset_of!(ra_attend_args, lse) == 112);
    assert!(offset_of!(ra_attend_args, lse_token_stride) == 120);
    assert!(offset_of!(ra_attend_args, lse_head_stride) == 128);
    assert!(offset_of!(ra_attend_args, sink_logits) == 136);
    assert!(offset_of!(ra_attend_args, alibi_slopes) == 144);
    assert!(offset_of!(ra_attend_args, q_scale) == 152);
    assert!(offset_of!(ra_attend_args, out_scale) == 160);
    assert!(offset_of!(ra_attend_args, softmax_scale) == 168);
    assert!(offset_of!(ra_attend_args, logit_softcap) == 172);
};
/// For ra_merge_state. a, b, out are \[num_tokens, num_heads, head_dim\].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_merge_args {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// 0 .. 2^31 - 1
    pub num_tokens: i64,
    /// query heads, 1 .. 2^31 - 1
    pub num_heads: i64,
    /// 1 .. 2^31 - 1; no multiple is asked for
    pub head_dim: i64,
    /// of a and b: RA_F32, RA_F16 or RA_BF16
    pub in_dtype: i32,
    /// of out: any of the three
    pub out_dtype: i32,
    /// 0: all LSEs are natural logarithms; 1: of base 2, as FlashInfer's are
    pub lse_base2: i32,
    /// 0
    pub reserved: i32,
    /// first part: normalised, as attention gives it
    pub a: ra_view,
    /// second part
    pub b: ra_view,
    /// may be a or b itself (same data, strides and dtype)
    pub out: ra_view,
    /// \[num_tokens, num_heads\] by the strides below
    pub a_lse: *const f32,
    /// \[num_tokens, num_heads\] by the strides below
    pub b_lse: *const f32,
    /// null: not wanted; may be a_lse or b_lse
    pub out_lse: *mut f32,
    /// of all three LSEs, in floats; 0: num_heads
    pub lse_token_stride: i64,
    /// likewise; 0: 1
    pub lse_head_stride: i64,
}
const _: () = {
    assert!(size_of::<ra_merge_args>() == 160);
    assert!(align_of::<ra_merge_args>() == 8);
    assert!(offset_of!(ra_merge_args, struct_size) == 0);
    assert!(offset_of!(ra_merge_args, num_tokens) == 8);
    assert!(offset_of!(ra_merge_args, num_heads) == 16);
    assert!(offset_of!(ra_merge_args, head_dim) == 24);
    assert!(offset_of!(ra_merge_args, in_dtype) == 32);
    assert!(offset_of!(ra_merge_args, out_dtype) == 36);
    assert!(offset_of!(ra_merge_args, lse_base2) == 40);
    assert!(offset_of!(ra_merge_args, reserved) == 44);
    assert!(offset_of!(ra_merge_args, a) == 48);
    assert!(offset_of!(ra_merge_args, b) == 72);
    assert!(offset_of!(ra_merge_args, out) == 96);
    assert!(offset_of!(ra_merge_args, a_lse) == 120);
    assert!(offset_of!(ra_merge_args, b_lse) == 128);
    assert!(offset_of!(ra_merge_args, out_lse) == 136);
    assert!(offset_of!(ra_merge_args, lse_token_stride) == 144);
    assert!(offset_of!(ra_merge_args, lse_head_stride) == 152);
};
/// For ra_cache_memory and ra_cache_create.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_cache_options {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// token slots of a page, 1 .. 65536; 0, the default: the device's best
    pub page_size: i64,
    /// Tokens that a layer group without a window has room for, 1 .. 2^31 -
    /// 1, rounded up to whole pages; must be set. A shared token counts
    /// once; the unused rest of each run's last page counts too
    pub capacity_tokens: i64,
    /// How many sequences will exist at once, a promise that lets window
    /// groups be smaller than the others: 2 \* (ceil(kept / page_size) + 2)
    /// pages for each, kept being \`retain\` or \`window\` tokens. 0, the
    /// default: no promise, all groups are equally large. Not enforced:
    /// more sequences just find fewer pages
    pub max_sequences: i64,
    /// device memory for the pages, of any alignment, that outlives the cache
    /// and all that is in it; null, the default: the cache allocates
    pub memory: *mut c_void,
    /// bytes; at least what ra_cache_memory says. 0 if memory is null
    pub memory_size: i64,
}
const _: () = {
    assert!(size_of::<ra_cache_options>() == 48);
    assert!(align_of::<ra_cache_options>() == 8);
    assert!(offset_of!(ra_cache_options, struct_size) == 0);
    assert!(offset_of!(ra_cache_options, page_size) == 8);
    assert!(offset_of!(ra_cache_options, capacity_tokens) == 16);
    assert!(offset_of!(ra_cache_options, max_sequences) == 24);
    assert!(offset_of!(ra_cache_options, memory) == 32);
    assert!(offset_of!(ra_cache_options, memory_size) == 40);
};
/// One step, for ra_batch_begin and ra_batch_pages_needed. All arrays are host memory and read
/// before the call returns, but tree_mask, which is device memory and must stay as it is until the
/// step's last attend is done.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_batch_input {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// of the batch's cache, none twice, none in an open step
    pub sequences: *const ra_sequence,
    /// 0 or more: an empty step is a step
    pub num_sequences: i64,
    /// new tokens of each sequence, 0 or more
    pub q_lens: *const i64,
    /// num_sequences
    pub num_q_lens: i64,
    /// RA_ROW_\* bits for each sequence; null: none has any
    pub row_flags: *const i64,
    /// num_sequences; 0: row_flags is not looked at
    pub num_row_flags: i64,
    /// Which new tokens see which, for verifying a tree of drafts: new
    /// token t of the step, counted over all sequences, has the row
    /// tree_mask + t \* tree_stride; bit j of it, bit j % 8 of its byte
    /// j / 8, lets it see new token j of its own sequence. Set its own
    /// bit, too. Earlier tokens stay visible. Null: causal order
    pub tree_mask: *const u8,
    /// bytes, at least ceil(longest q_len / 8)
    pub tree_stride: i64,
    /// Triples row, begin, end: new tokens \[begin, end) of sequence
    /// \`row\` see each other both ways, as parts of an image do. Spans
    /// of a row do not overlap, and its row_flags are 0. Not together
    /// with tree_mask
    pub spans: *const i64,
    /// triples
    pub num_spans: i64,
    /// rows of q and out after the real ones, zeroed, 0 or more: for
    /// tensors of a fixed shape
    pub padded_tokens: i64,
}
const _: () = {
    assert!(size_of::<ra_batch_input>() == 96);
    assert!(align_of::<ra_batch_input>() == 8);
    assert!(offset_of!(ra_batch_input, struct_size) == 0);
    assert!(offset_of!(ra_batch_input, sequences) == 8);
    assert!(offset_of!(ra_batch_input, num_sequences) == 16);
    assert!(offset_of!(ra_batch_input, q_lens) == 24);
    assert!(offset_of!(ra_batch_input, num_q_lens) == 32);
    assert!(offset_of!(ra_batch_input, row_flags) == 40);
    assert!(offset_of!(ra_batch_input, num_row_flags) == 48);
    assert!(offset_of!(ra_batch_input, tree_mask) == 56);
    assert!(offset_of!(ra_batch_input, tree_stride) == 64);
    assert!(offset_of!(ra_batch_input, spans) == 72);
    assert!(offset_of!(ra_batch_input, num_spans) == 80);
    assert!(offset_of!(ra_batch_input, padded_tokens) == 88);
};
/// 14 THE TABLE FOR DLOPEN
///
/// Every function of this header but ra_get_api, which returns it, under its name without "ra_".
/// Later versions add entries at the end only; struct_size, in bytes, tells a host what it has.
///
/// ```text
/// void* library = dlopen("librelayattn.so.0", RTLD_NOW);
/// const ra_api* (*get)(int64_t) = (const ra_api* (*)(int64_t))dlsym(library, "ra_get_api");
/// const ra_api* ra = get(RA_VERSION);
/// ra->context_options_init(&options, sizeof options);
/// ```
///
/// Do not dlclose the library while an object of it is alive.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_api {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// [`ra_version`](crate::ra_version)
    pub version: unsafe extern "C" fn() -> i64,
    /// [`ra_last_error`](crate::ra_last_error)
    pub last_error: unsafe extern "C" fn(text: *mut c_char, size: i64) -> i64,
    /// [`ra_status_name`](crate::ra_status_name)
    pub status_name: unsafe extern "C" fn(status: ra_status) -> *const c_char,
    /// [`ra_context_options_init`](crate::ra_context_options_init)
    pub context_options_init:
        unsafe extern "C" fn(o: *mut ra_context_options, struct_size: i64) -> ra_status,
    /// [`ra_context_create`](crate::ra_context_create)
    pub context_create:
        unsafe extern "C" fn(o: *const ra_context_options, out: *mut ra_context) -> ra_status,
    /// [`ra_context_set_log`](crate::ra_context_set_log)
    pub context_set_log:
        unsafe extern "C" fn(c: ra_context, log: ra_log_fn, user: *mut c_void) -> ra_status,
    /// [`ra_context_query`](crate::ra_context_query)
    pub context_query:
        unsafe extern "C" fn(c: ra_context, property: i32, value_out: *mut i64) -> ra_status,
    /// [`ra_context_release`](crate::ra_context_release)
    pub context_release: unsafe extern "C" fn(c: ra_context),
    /// [`ra_layer_options_init`](crate::ra_layer_options_init)
    pub layer_options_init:
        unsafe extern "C" fn(o: *mut ra_layer_options, struct_size: i64) -> ra_status,
    /// [`ra_model_create`](crate::ra_model_create)
    pub model_create: unsafe extern "C" fn(num_layers: i64, out: *mut ra_model) -> ra_status,
    /// [`ra_model_set_layers`](crate::ra_model_set_layers)
    pub model_set_layers: unsafe extern "C" fn(
        m: ra_model,
        first: i64,
        count: i64,
        o: *const ra_layer_options,
    ) -> ra_status,
    /// [`ra_model_layer_group`](crate::ra_model_layer_group)
    pub model_layer_group:
        unsafe extern "C" fn(m: ra_model, layer: i64, group_out: *mut i64) -> ra_status,
    /// [`ra_context_supports`](crate::ra_context_supports)
    pub context_supports: unsafe extern "C" fn(
        c: ra_context,
        m: ra_model,
        page_size: i64,
        plan_flags: i32,
    ) -> ra_status,
    /// [`ra_model_release`](crate::ra_model_release)
    pub model_release: unsafe extern "C" fn(m: ra_model),
    /// [`ra_plan_options_init`](crate::ra_plan_options_init)
    pub plan_options_init:
        unsafe extern "C" fn(o: *mut ra_plan_options, struct_size: i64) -> ra_status,
    /// [`ra_merge_state`](crate::ra_merge_state)
    pub merge_state: unsafe extern "C" fn(
        c: ra_context,
        a: *const ra_merge_args,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_cache_options_init`](crate::ra_cache_options_init)
    pub cache_options_init:
        unsafe extern "C" fn(o: *mut ra_cache_options, struct_size: i64) -> ra_status,
    /// [`ra_cache_memory`](crate::ra_cache_memory)
    pub cache_memory: unsafe extern "C" fn(
        c: ra_context,
        m: ra_model,
        o: *const ra_cache_options,
        bytes_out: *mut i64,
    ) -> ra_status,
    /// [`ra_cache_create`](crate::ra_cache_create)
    pub cache_create: unsafe extern "C" fn(
        c: ra_context,
        m: ra_model,
        o: *const ra_cache_options,
        out: *mut ra_cache,
    ) -> ra_status,
    /// [`ra_cache_pages`](crate::ra_cache_pages)
    pub cache_pages: unsafe extern "C" fn(
        k: ra_cache,
        group: i64,
        total_out: *mut i64,
        free_out: *mut i64,
    ) -> ra_status,
    /// [`ra_cache_layer`](crate::ra_cache_layer)
    pub cache_layer: unsafe extern "C" fn(
        k: ra_cache,
        layer: i64,
        layout_out: *mut ra_page_layout,
        memory_out: *mut ra_layer_memory,
    ) -> ra_status,
    /// [`ra_cache_release`](crate::ra_cache_release)
    pub cache_release: unsafe extern "C" fn(k: ra_cache),
    /// [`ra_prefix_create`](crate::ra_prefix_create)
    pub prefix_create: unsafe extern "C" fn(
        k: ra_cache,
        parent: ra_prefix,
        num_tokens: i64,
        out: *mut ra_prefix,
    ) -> ra_status,
    /// [`ra_prefix_write`](crate::ra_prefix_write)
    pub prefix_write: unsafe extern "C" fn(
        p: ra_prefix,
        layer: i64,
        pos: i64,
        kv: *const ra_kv,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_prefix_read`](crate::ra_prefix_read)
    pub prefix_read: unsafe extern "C" fn(
        p: ra_prefix,
        layer: i64,
        pos: i64,
        kv: *const ra_kv,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_prefix_seal`](crate::ra_prefix_seal)
    pub prefix_seal: unsafe extern "C" fn(p: ra_prefix, queue: *mut c_void) -> ra_status,
    /// [`ra_prefix_from_sequence`](crate::ra_prefix_from_sequence)
    pub prefix_from_sequence:
        unsafe extern "C" fn(s: ra_sequence, num_tokens: i64, out: *mut ra_prefix) -> ra_status,
    /// [`ra_prefix_split`](crate::ra_prefix_split)
    pub prefix_split:
        unsafe extern "C" fn(p: ra_prefix, num_tokens: i64, head_out: *mut ra_prefix) -> ra_status,
    /// [`ra_prefix_length`](crate::ra_prefix_length)
    pub prefix_length:
        unsafe extern "C" fn(p: ra_prefix, own_out: *mut i64, total_out: *mut i64) -> ra_status,
    /// [`ra_prefix_save`](crate::ra_prefix_save)
    pub prefix_save: unsafe extern "C" fn(
        p: ra_prefix,
        bytes: *mut c_void,
        size: i64,
        size_out: *mut i64,
    ) -> ra_status,
    /// [`ra_prefix_load`](crate::ra_prefix_load)
    pub prefix_load: unsafe extern "C" fn(
        k: ra_cache,
        parent: ra_prefix,
        bytes: *const c_void,
        size: i64,
        out: *mut ra_prefix,
    ) -> ra_status,
    /// [`ra_prefix_release`](crate::ra_prefix_release)
    pub prefix_release: unsafe extern "C" fn(p: ra_prefix),
    /// [`ra_sequence_attach`](crate::ra_sequence_attach)
    pub sequence_attach:
        unsafe extern "C" fn(k: ra_cache, p: ra_prefix, out: *mut ra_sequence) -> ra_status,
    /// [`ra_sequence_fork`](crate::ra_sequence_fork)
    pub sequence_fork: unsafe extern "C" fn(s: ra_sequence, out: *mut ra_sequence) -> ra_status,
    /// [`ra_sequence_truncate`](crate::ra_sequence_truncate)
    pub sequence_truncate: unsafe extern "C" fn(s: ra_sequence, length: i64) -> ra_status,
    /// [`ra_sequence_length`](crate::ra_sequence_length)
    pub sequence_length:
        unsafe extern "C" fn(s: ra_sequence, length_out: *mut i64, min_out: *mut i64) -> ra_status,
    /// [`ra_sequence_erase`](crate::ra_sequence_erase)
    pub sequence_erase: unsafe extern "C" fn(s: ra_sequence, pos: i64, n: i64) -> ra_status,
    /// [`ra_sequence_pages`](crate::ra_sequence_pages)
    pub sequence_pages: unsafe extern "C" fn(
        s: ra_sequence,
        group: i64,
        pages: *mut i32,
        max_pages: i64,
        num_out: *mut i64,
    ) -> ra_status,
    /// [`ra_sequence_release`](crate::ra_sequence_release)
    pub sequence_release: unsafe extern "C" fn(s: ra_sequence),
    /// [`ra_batch_memory`](crate::ra_batch_memory)
    pub batch_memory: unsafe extern "C" fn(
        k: ra_cache,
        o: *const ra_plan_options,
        scratch_out: *mut i64,
        metadata_out: *mut i64,
    ) -> ra_status,
    /// [`ra_batch_create`](crate::ra_batch_create)
    pub batch_create: unsafe extern "C" fn(
        k: ra_cache,
        o: *const ra_plan_options,
        out: *mut ra_batch,
    ) -> ra_status,
    /// [`ra_batch_pages_needed`](crate::ra_batch_pages_needed)
    pub batch_pages_needed: unsafe extern "C" fn(
        b: ra_batch,
        input: *const ra_batch_input,
        group: i64,
        pages_out: *mut i64,
    ) -> ra_status,
    /// [`ra_batch_begin`](crate::ra_batch_begin)
    pub batch_begin: unsafe extern "C" fn(
        b: ra_batch,
        input: *const ra_batch_input,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_begin_dummy`](crate::ra_batch_begin_dummy)
    pub batch_begin_dummy: unsafe extern "C" fn(
        b: ra_batch,
        rows: i64,
        q_len: i64,
        kv_len: i64,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_attend`](crate::ra_batch_attend)
    pub batch_attend: unsafe extern "C" fn(
        b: ra_batch,
        layer: i64,
        a: *const ra_attend_args,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_attend_worker`](crate::ra_batch_attend_worker)
    pub batch_attend_worker: unsafe extern "C" fn(
        b: ra_batch,
        layer: i64,
        a: *const ra_attend_args,
        worker: i64,
        num_workers: i64,
    ) -> ra_status,
    /// [`ra_batch_commit`](crate::ra_batch_commit)
    pub batch_commit: unsafe extern "C" fn(
        b: ra_batch,
        kept: *const i64,
        num_kept: i64,
        index: *const i64,
        num_index: i64,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_commit_device`](crate::ra_batch_commit_device)
    pub batch_commit_device:
        unsafe extern "C" fn(b: ra_batch, kept: *const i32, queue: *mut c_void) -> ra_status,
    /// [`ra_batch_abort`](crate::ra_batch_abort)
    pub batch_abort: unsafe extern "C" fn(b: ra_batch, queue: *mut c_void) -> ra_status,
    /// [`ra_batch_query`](crate::ra_batch_query)
    pub batch_query: unsafe extern "C" fn(
        b: ra_batch,
        group: i64,
        property: i32,
        value_out: *mut i64,
    ) -> ra_status,
    /// [`ra_batch_release`](crate::ra_batch_release)
    pub batch_release: unsafe extern "C" fn(b: ra_batch),
}
const _: () = {
    assert!(size_of::<ra_api>() == 416);
    assert!(align_of::<ra_api>() == 8);
    assert!(offset_of!(ra_api, struct_size) == 0);
    assert!(offset_of!(ra_api, version) == 8);
    assert!(offset_of!(ra_api, last_error) == 16);
    assert!(offset_of!(ra_api, status_name) == 24);
    assert!(offset_of!(ra_api, context_options_init) == 32);
    assert!(offset_of!(ra_api, context_create) == 40);
    assert!(offset_of!(ra_api, context_set_log) == 48);
    assert!(offset_of!(ra_api, context_query) == 56);
    assert!(offset_of!(ra_api, context_release) == 64);
    assert!(offset_of!(ra_api, layer_options_init) == 72);
    assert!(offset_of!(ra_api, model_create) == 80);
    assert!(offset_of!(ra_api, model_set_layers) == 88);
    assert!(offset_of!(ra_api, model_layer_group) == 96);
    assert!(offset_of!(ra_api, context_supports) == 104);
    assert!(offset_of!(ra_api, model_release) == 112);
    assert!(offset_of!(ra_api, plan_options_init) == 120);
    assert!(offset_of!(ra_api, merge_state) == 128);
    assert!(offset_of!(ra_api, cache_options_init) == 136);
    assert!(offset_of!(ra_api, cache_memory) == 144);
    assert!(offset_of!(ra_api, cache_create) == 152);
    assert!(offset_of!(ra_api, cache_pages) == 160);
    assert!(offset_of!(ra_api, cache_layer) == 168);
    assert!(offset_of!(ra_api, cache_release) == 176);
    assert!(offset_of!(ra_api, prefix_create) == 184);
    assert!(offset_of!(ra_api, prefix_write) == 192);
    assert!(offset_of!(ra_api, prefix_read) == 200);
    assert!(offset_of!(ra_api, prefix_seal) == 208);
    assert!(offset_of!(ra_api, prefix_from_sequence) == 216);
    assert!(offset_of!(ra_api, prefix_split) == 224);
    assert!(offset_of!(ra_api, prefix_length) == 232);
    assert!(offset_of!(ra_api, prefix_save) == 240);
    assert!(offset_of!(ra_api, prefix_load) == 248);
    assert!(offset_of!(ra_api, prefix_release) == 256);
    assert!(offset_of!(ra_api, sequence_attach) == 264);
    assert!(offset_of!(ra_api, sequence_fork) == 272);
    assert!(offset_of!(ra_api, sequence_truncate) == 280);
    assert!(offset_of!(ra_api, sequence_length) == 288);
    assert!(offset_of!(ra_api, sequence_erase) == 296);
    assert!(offset_of!(ra_api, sequence_pages) == 304);
    assert!(offset_of!(ra_api, sequence_release) == 312);
    assert!(offset_of!(ra_api, batch_memory) == 320);
    assert!(offset_of!(ra_api, batch_create) == 328);
    assert!(offset_of!(ra_api, batch_pages_needed) == 336);
    assert!(offset_of!(ra_api, batch_begin) == 344);
    assert!(offset_of!(ra_api, batch_begin_dummy) == 352);
    assert!(offset_of!(ra_api, batch_attend) == 360);
    assert!(offset_of!(ra_api, batch_attend_worker) == 368);
    assert!(offset_of!(ra_api, batch_commit) == 376);
    assert!(offset_of!(ra_api, batch_commit_device) == 384);
    assert!(offset_of!(ra_api, batch_abort) == 392);
    assert!(offset_of!(ra_api, batch_query) == 400);
    assert!(offset_of!(ra_api, batch_release) == 408);
};
