/*
 * relayattn: what SWIG is told for Go
 * SPDX-License-Identifier: Apache-2.0
 *
 * The output is the internal package capi. A status arrives there as the address of a failure, 0
 * for success (failure.h); a handle, a queue and an address are a uintptr. Structs stay in C: their
 * fields are arguments here, so that no Go pointer ever lies in C memory. Calls that take Go memory
 * are in memory.go, since SWIG passes every pointer as a void*, for which cgo's checks refuse
 * slices that lie inside a Go object with pointers.
 */

%insert(cgo_comment) %{
#cgo pkg-config: relayattn
%}

%{
#include "failure.h"
%}

%rename("%(regex:/^(?:ra_)?(.*)/\\1/)s", %$isfunction) "";

/* Constants are had by cgo, as constants; SWIG would make them variables. */
%rename("$ignore", %$isenumitem) "";
%rename("$ignore", %$isconstant) "";
%rename("$ignore", %$isclass) "";

/* An int32_t would be a Go int, and lose its upper half. */
%typemap(gotype) int32_t "int32"
%typemap(gotype) ra_context, ra_model, ra_cache, ra_prefix, ra_sequence, ra_batch "uintptr"
%typemap(gotype) ra_context *, ra_model *, ra_cache *, ra_prefix *, ra_sequence *, ra_batch * "*uintptr"
%typemap(gotype) ra_status "int64"
%typemap(out) ra_status %{ $result = (int64_t)(intptr_t)relayattn_fail($1); %}

/* Replaced below, in memory.go or in failure.go, */
%ignore ra_status_name;
%ignore ra_context_options_init;
%ignore ra_context_create;
%ignore ra_context_query;
%ignore ra_layer_options_init;
%ignore ra_model_set_layers;
%ignore ra_plan_options_init;
%ignore ra_merge_state;
%ignore ra_cache_options_init;
%ignore ra_cache_memory;
%ignore ra_cache_create;
%ignore ra_cache_layer;
%ignore ra_prefix_write;
%ignore ra_prefix_read;
%ignore ra_sequence_pages;
%ignore ra_batch_memory;
%ignore ra_batch_create;
%ignore ra_batch_pages_needed;
%ignore ra_batch_begin;
%ignore ra_batch_attend;
%ignore ra_batch_attend_worker;
%ignore ra_batch_commit;
%ignore ra_batch_query;
/* or reserved, and answered by no version yet. */
%ignore ra_prefix_save;
%ignore ra_prefix_load;
%ignore ra_sequence_erase;
%ignore ra_batch_commit_device;

%inline %{
/* `values` of the following are written from index 0 on, in the order of the struct or enum. */

static ra_status context_make(int32_t backend, int32_t ordinal, int64_t num_threads, ra_context* out) {
    ra_context_options o;
    ra_status status = ra_context_options_init(&o, sizeof o);
    if (status != RA_OK)
        return status;
    o.backend = backend;
    o.ordinal = ordinal;
    o.num_threads = num_threads;
    return ra_context_create(&o, out);
}

static ra_status context_info(ra_context c, int64_t* values) {
    ra_status status = RA_OK;
    for (int32_t p = RA_CONTEXT_INFO_BACKEND; p <= RA_CONTEXT_INFO_GRAPHS && status == RA_OK; ++p)
        status = ra_context_query(c, p, &values[p - RA_CONTEXT_INFO_BACKEND]);
    return status;
}

/* A dtype of 0 is the default. */
static ra_status model_set(ra_model m, int64_t first, int64_t count, int64_t num_q_heads,
                           int64_t num_kv_heads, int64_t head_dim_k, int64_t head_dim_v,
                           int32_t q_dtype, int32_t k_dtype, int32_t v_dtype, int32_t out_dtype,
                           int32_t window_kind, int64_t window, int64_t retain, int64_t kv_layer,
                           int32_t uses_sinks, int32_t uses_alibi, float softmax_scale,
                           float logit_softcap) {
    ra_layer_options o;
    ra_status status = ra_layer_options_init(&o, sizeof o);
    if (status != RA_OK)
        return status;
    o.num_q_heads = num_q_heads;
    o.num_kv_heads = num_kv_heads;
    o.head_dim_k = head_dim_k;
    o.head_dim_v = head_dim_v;
    o.q_dtype = q_dtype != 0 ? q_dtype : o.q_dtype;
    o.k_dtype = k_dtype != 0 ? k_dtype : o.k_dtype;
    o.v_dtype = v_dtype != 0 ? v_dtype : o.v_dtype;
    o.out_dtype = out_dtype != 0 ? out_dtype : o.out_dtype;
    o.window_kind = window_kind;
    o.window = window;
    o.retain = retain;
    o.kv_layer = kv_layer;
    o.uses_sinks = uses_sinks;
    o.uses_alibi = uses_alibi;
    o.softmax_scale = softmax_scale;
    o.logit_softcap = logit_softcap;
    return ra_model_set_layers(m, first, count, &o);
}
%}

%{
static ra_status relayattn_room(ra_cache_options* o, int64_t page_size, int64_t capacity_tokens,
                                int64_t max_sequences) {
    ra_status status = ra_cache_options_init(o, sizeof *o);
    o->page_size = page_size;
    o->capacity_tokens = capacity_tokens;
    o->max_sequences = max_sequences;
    return status;
}

static ra_status relayattn_plan(ra_plan_options* o, int64_t max_rows, int64_t max_tokens,
                                int64_t max_runs, int64_t max_kv_tokens, int32_t mode,
                                int32_t flags) {
    ra_status status = ra_plan_options_init(o, sizeof *o);
    o->max_rows = max_rows;
    o->max_tokens = max_tokens;
    o->max_runs = max_runs;
    o->max_kv_tokens = max_kv_tokens;
    o->mode = mode;
    o->flags = flags;
    return status;
}
%}

%inline %{
static ra_status cache_size(ra_context c, ra_model m, int64_t page_size, int64_t capacity_tokens,
                            int64_t max_sequences, int64_t* bytes_out) {
    ra_cache_options o;
    ra_status status = relayattn_room(&o, page_size, capacity_tokens, max_sequences);
    return status != RA_OK ? status : ra_cache_memory(c, m, &o, bytes_out);
}

static ra_status cache_make(ra_context c, ra_model m, int64_t page_size, int64_t capacity_tokens,
                            int64_t max_sequences, void* memory, int64_t memory_size,
                            ra_cache* out) {
    ra_cache_options o;
    ra_status status = relayattn_room(&o, page_size, capacity_tokens, max_sequences);
    o.memory = memory;
    o.memory_size = memory_size;
    return status != RA_OK ? status : ra_cache_create(c, m, &o, out);
}

static ra_status cache_place(ra_cache k, int64_t layer, int64_t* values) {
    ra_page_layout layout = {.struct_size = sizeof layout};
    ra_layer_memory memory = {.struct_size = sizeof memory};
    ra_status status = ra_cache_layer(k, layer, &layout, &memory);
    if (status != RA_OK)
        return status;
    values[0] = layout.page_size;
    values[1] = layout.num_pages;
    values[2] = layout.packed;
    values[3] = layout.k_page_stride;
    values[4] = layout.k_token_stride;
    values[5] = layout.k_head_stride;
    values[6] = layout.v_page_stride;
    values[7] = layout.v_token_stride;
    values[8] = layout.v_head_stride;
    values[9] = (int64_t)(intptr_t)memory.k_pages;
    values[10] = (int64_t)(intptr_t)memory.v_pages;
    return RA_OK;
}

static ra_status batch_size(ra_cache k, int64_t max_rows, int64_t max_tokens, int64_t max_runs,
                            int64_t max_kv_tokens, int32_t mode, int32_t flags,
                            int64_t* scratch_out, int64_t* metadata_out) {
    ra_plan_options o;
    ra_status status =
        relayattn_plan(&o, max_rows, max_tokens, max_runs, max_kv_tokens, mode, flags);
    return status != RA_OK ? status : ra_batch_memory(k, &o, scratch_out, metadata_out);
}

static ra_status batch_make(ra_cache k, int64_t max_rows, int64_t max_tokens, int64_t max_runs,
                            int64_t max_kv_tokens, int32_t mode, int32_t flags, void* scratch,
                            int64_t scratch_size, void* metadata, int64_t metadata_size,
                            ra_batch* out) {
    ra_plan_options o;
    ra_status status =
        relayattn_plan(&o, max_rows, max_tokens, max_runs, max_kv_tokens, mode, flags);
    o.scratch = scratch;
    o.scratch_size = scratch_size;
    o.metadata = metadata;
    o.metadata_size = metadata_size;
    return status != RA_OK ? status : ra_batch_create(k, &o, out);
}

static ra_status batch_info(ra_batch b, int64_t group, int64_t* values) {
    ra_status status = RA_OK;
    for (int32_t p = RA_PLAN_INFO_LAUNCHES; p <= RA_PLAN_INFO_PREDICTED_NS && status == RA_OK; ++p)
        status = ra_batch_query(b, group, p, &values[p - RA_PLAN_INFO_LAUNCHES]);
    return status;
}
%}
