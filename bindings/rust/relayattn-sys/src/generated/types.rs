// Generated from relayattn.h by bindings/rust/generate; do not edit.

use core::ffi::{c_char, c_void};

/// What a call came to. Section 2 says what to do about each.
pub type ra_status = i32;
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
