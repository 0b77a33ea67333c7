/*
 * relayattn: the functions with struct arguments, for Java
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each takes the fields as arguments, in the order of the struct, and fills the struct here. An
 * option that is not an argument keeps its default.
 */

%inline %{
/* The RA_VERSION that this code was compiled with. */
static int64_t compiled_version(void) { return RA_VERSION; }

static int64_t buffer_address(void* direct_buffer) { return (int64_t)(intptr_t)direct_buffer; }

static ra_status context_create(int32_t backend, int32_t ordinal, int64_t num_threads,
                                int64_t numa_node, ra_context* out) {
    ra_context_options o;
    ra_status status = ra_context_options_init(&o, sizeof o);
    o.backend = backend;
    o.ordinal = ordinal;
    o.num_threads = num_threads;
    o.numa_node = numa_node;
    return status != RA_OK ? status : ra_context_create(&o, out);
}

static ra_status model_set_layers(ra_model m, int64_t first, int64_t count, int64_t num_q_heads,
                                  int64_t num_kv_heads, int64_t head_dim_k, int64_t head_dim_v,
                                  int32_t q_dtype, int32_t k_dtype, int32_t v_dtype,
                                  int32_t out_dtype, int32_t window_kind, int64_t window,
                                  int64_t retain, int64_t kv_layer, int32_t uses_sinks,
                                  int32_t uses_alibi, float softmax_scale, float logit_softcap) {
    ra_layer_options o;
    ra_status status = ra_layer_options_init(&o, sizeof o);
    o.num_q_heads = num_q_heads;
    o.num_kv_heads = num_kv_heads;
    o.head_dim_k = head_dim_k;
    o.head_dim_v = head_dim_v;
    o.q_dtype = q_dtype;
    o.k_dtype = k_dtype;
    o.v_dtype = v_dtype;
    o.out_dtype = out_dtype;
    o.window_kind = window_kind;
    o.window = window;
    o.retain = retain;
    o.kv_layer = kv_layer;
    o.uses_sinks = uses_sinks;
    o.uses_alibi = uses_alibi;
    o.softmax_scale = softmax_scale;
    o.logit_softcap = logit_softcap;
    return status != RA_OK ? status : ra_model_set_layers(m, first, count, &o);
}

static ra_status merge_state(ra_context c, int64_t num_tokens, int64_t num_heads, int64_t head_dim,
                             int32_t in_dtype, int32_t out_dtype, int32_t lse_base2,
                             void* a, int64_t a_token_stride, int64_t a_head_stride,
                             void* b, int64_t b_token_stride, int64_t b_head_stride,
                             void* out_data, int64_t out_token_stride, int64_t out_head_stride,
                             void* a_lse, void* b_lse, void* out_lse, int64_t lse_token_stride,
                             int64_t lse_head_stride, void* queue) {
    ra_merge_args args = {sizeof args, num_tokens, num_heads, head_dim, in_dtype, out_dtype,
                          lse_base2, 0,
                          {a, a_token_stride, a_head_stride},
                          {b, b_token_stride, b_head_stride},
                          {out_data, out_token_stride, out_head_stride},
                          (const float*)a_lse, (const float*)b_lse, (float*)out_lse,
                          lse_token_stride, lse_head_stride};
    return ra_merge_state(c, &args, queue);
}
%}

%header %{
static ra_status cache_options(ra_cache_options* o, int64_t page_size, int64_t capacity_tokens,
                               int64_t max_sequences) {
    ra_status status = ra_cache_options_init(o, sizeof *o);
    o->page_size = page_size;
    o->capacity_tokens = capacity_tokens;
    o->max_sequences = max_sequences;
    return status;
}
%}

%inline %{
static ra_status cache_memory(ra_context c, ra_model m, int64_t page_size, int64_t capacity_tokens,
                              int64_t max_sequences, int64_t* bytes_out) {
    ra_cache_options o;
    ra_status status = cache_options(&o, page_size, capacity_tokens, max_sequences);
    return status != RA_OK ? status : ra_cache_memory(c, m, &o, bytes_out);
}

static ra_status cache_create(ra_context c, ra_model m, int64_t page_size, int64_t capacity_tokens,
                              int64_t max_sequences, void* memory, int64_t memory_size,
                              ra_cache* out) {
    ra_cache_options o;
    ra_status status = cache_options(&o, page_size, capacity_tokens, max_sequences);
    o.memory = memory;
    o.memory_size = memory_size;
    return status != RA_OK ? status : ra_cache_create(c, m, &o, out);
}

static ra_status cache_pages_total(ra_cache k, int64_t group, int64_t* value_out) {
    int64_t free_pages = 0;
    return ra_cache_pages(k, group, value_out, &free_pages);
}

static ra_status cache_pages_free(ra_cache k, int64_t group, int64_t* value_out) {
    int64_t total = 0;
    return ra_cache_pages(k, group, &total, value_out);
}

/* values: those that the record PageLayout has, in its order. */
static ra_status cache_layer(ra_cache k, int64_t layer, int64_t* values, int64_t num_values) {
    ra_page_layout l = {sizeof l, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    ra_layer_memory m = {sizeof m, NULL, NULL, NULL, NULL};
    ra_status status = ra_cache_layer(k, layer, &l, &m);
    const int64_t told[] = {l.page_size, l.num_pages, l.packed,
                            l.k_page_stride, l.k_token_stride, l.k_head_stride,
                            l.v_page_stride, l.v_token_stride, l.v_head_stride,
                            (int64_t)(intptr_t)m.k_pages, (int64_t)(intptr_t)m.v_pages};
    for (int64_t i = 0; i < num_values && i < (int64_t)(sizeof told / sizeof *told); ++i)
        values[i] = told[i];
    return status;
}

static ra_status prefix_write(ra_prefix p, int64_t layer, int64_t pos,
                              void* k, int64_t k_token_stride, int64_t k_head_stride,
                              void* v, int64_t v_token_stride, int64_t v_head_stride,
                              int64_t num_tokens, void* queue) {
    ra_kv kv = {sizeof kv, {k, k_token_stride, k_head_stride}, {v, v_token_stride, v_head_stride},
                NULL, num_tokens};
    return ra_prefix_write(p, layer, pos, &kv, queue);
}

static ra_status prefix_read(ra_prefix p, int64_t layer, int64_t pos,
                             void* k, int64_t k_token_stride, int64_t k_head_stride,
                             void* v, int64_t v_token_stride, int64_t v_head_stride,
                             int64_t num_tokens, void* queue) {
    ra_kv kv = {sizeof kv, {k, k_token_stride, k_head_stride}, {v, v_token_stride, v_head_stride},
                NULL, num_tokens};
    return ra_prefix_read(p, layer, pos, &kv, queue);
}

static ra_status prefix_length_own(ra_prefix p, int64_t* value_out) {
    int64_t total = 0;
    return ra_prefix_length(p, value_out, &total);
}

static ra_status prefix_length_total(ra_prefix p, int64_t* value_out) {
    int64_t own = 0;
    return ra_prefix_length(p, &own, value_out);
}

static ra_status sequence_length(ra_sequence s, int64_t* value_out) {
    int64_t min = 0;
    return ra_sequence_length(s, value_out, &min);
}

static ra_status sequence_length_min(ra_sequence s, int64_t* value_out) {
    int64_t length = 0;
    return ra_sequence_length(s, &length, value_out);
}
%}

%header %{
static ra_status plan_options(ra_plan_options* o, int64_t max_rows, int64_t max_tokens,
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

/* `sequences` are handles, as 64-bit numbers. */
static ra_batch_input batch_input(const int64_t* sequences, int64_t num_sequences,
                                  const int64_t* q_lens, int64_t num_q_lens,
                                  const int64_t* row_flags, int64_t num_row_flags,
                                  const uint8_t* tree_mask, int64_t tree_stride,
                                  const int64_t* spans, int64_t num_spans, int64_t padded_tokens) {
    ra_batch_input input = {sizeof input, (const ra_sequence*)(const void*)sequences, num_sequences,
                            q_lens, num_q_lens, row_flags, num_row_flags, tree_mask, tree_stride,
                            spans, num_spans, padded_tokens};
    return input;
}
%}

%inline %{
static ra_status batch_memory_scratch(ra_cache k, int64_t max_rows, int64_t max_tokens,
                                      int64_t max_runs, int64_t max_kv_tokens, int32_t mode,
                                      int32_t flags, int64_t* value_out) {
    ra_plan_options o;
    int64_t metadata = 0;
    ra_status status =
        plan_options(&o, max_rows, max_tokens, max_runs, max_kv_tokens, mode, flags);
    return status != RA_OK ? status : ra_batch_memory(k, &o, value_out, &metadata);
}

static ra_status batch_memory_metadata(ra_cache k, int64_t max_rows, int64_t max_tokens,
                                       int64_t max_runs, int64_t max_kv_tokens, int32_t mode,
                                       int32_t flags, int64_t* value_out) {
    ra_plan_options o;
    int64_t scratch = 0;
    ra_status status =
        plan_options(&o, max_rows, max_tokens, max_runs, max_kv_tokens, mode, flags);
    return status != RA_OK ? status : ra_batch_memory(k, &o, &scratch, value_out);
}

static ra_status batch_create(ra_cache k, int64_t max_rows, int64_t max_tokens, int64_t max_runs,
                              int64_t max_kv_tokens, int32_t mode, int32_t flags, void* scratch,
                              int64_t scratch_size, void* metadata, int64_t metadata_size,
                              ra_batch* out) {
    ra_plan_options o;
    ra_status status =
        plan_options(&o, max_rows, max_tokens, max_runs, max_kv_tokens, mode, flags);
    o.scratch = scratch;
    o.scratch_size = scratch_size;
    o.metadata = metadata;
    o.metadata_size = metadata_size;
    return status != RA_OK ? status : ra_batch_create(k, &o, out);
}

static ra_status batch_pages_needed(ra_batch b, const int64_t* sequences, int64_t num_sequences,
                                    const int64_t* q_lens, int64_t num_q_lens,
                                    const int64_t* row_flags, int64_t num_row_flags,
                                    const uint8_t* tree_mask,
                                    int64_t tree_stride, const int64_t* spans, int64_t num_spans,
                                    int64_t padded_tokens, int64_t group, int64_t* pages_out) {
    ra_batch_input input =
        batch_input(sequences, num_sequences, q_lens, num_q_lens, row_flags, num_row_flags,
                    tree_mask, tree_stride, spans, num_spans, padded_tokens);
    return ra_batch_pages_needed(b, &input, group, pages_out);
}

static ra_status batch_begin(ra_batch b, const int64_t* sequences, int64_t num_sequences,
                             const int64_t* q_lens, int64_t num_q_lens,
                             const int64_t* row_flags, int64_t num_row_flags,
                             const uint8_t* tree_mask, int64_t tree_stride, const int64_t* spans,
                             int64_t num_spans, int64_t padded_tokens, void* queue) {
    ra_batch_input input =
        batch_input(sequences, num_sequences, q_lens, num_q_lens, row_flags, num_row_flags,
                    tree_mask, tree_stride, spans, num_spans, padded_tokens);
    return ra_batch_begin(b, &input, queue);
}

/* Both kinds of attend: as_worker is 0 or 1, and decides between queue and worker of num_workers. */
static ra_status batch_attend(ra_batch b, int64_t layer,
                              void* q, int64_t q_token_stride, int64_t q_head_stride,
                              void* out_data, int64_t out_token_stride, int64_t out_head_stride,
                              void* k, int64_t k_token_stride, int64_t k_head_stride,
                              void* v, int64_t v_token_stride, int64_t v_head_stride,
                              void* lse, int64_t lse_token_stride, int64_t lse_head_stride,
                              const void* sink_logits, const void* alibi_slopes,
                              float softmax_scale, float logit_softcap, void* queue,
                              int32_t as_worker, int64_t worker, int64_t num_workers) {
    ra_attend_args args = {sizeof args,
                           {q, q_token_stride, q_head_stride},
                           {out_data, out_token_stride, out_head_stride},
                           {k, k_token_stride, k_head_stride},
                           {v, v_token_stride, v_head_stride},
                           NULL, (float*)lse, lse_token_stride, lse_head_stride,
                           (const float*)sink_logits, (const float*)alibi_slopes, NULL, NULL,
                           softmax_scale, logit_softcap};
    return as_worker == 0 ? ra_batch_attend(b, layer, &args, queue)
                          : ra_batch_attend_worker(b, layer, &args, worker, num_workers);
}
%}
