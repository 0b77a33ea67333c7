#ifndef RELAYATTN_RELAYATTN_H
#define RELAYATTN_RELAYATTN_H

#include <stdint.h>

#if defined(UINTPTR_MAX) && UINTPTR_MAX < UINT64_MAX
#error "relayattn needs 64-bit pointers"
#endif

#define RA_VERSION_MAJOR 0
#define RA_VERSION_MINOR 1
#define RA_VERSION_PATCH 0
#define RA_VERSION (10000 * RA_VERSION_MAJOR + 100 * RA_VERSION_MINOR + RA_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t ra_status;
enum {
    RA_OK = 0,
    RA_ERROR_ARGUMENT = -1,
    RA_ERROR_HANDLE = -2,
    RA_ERROR_STATE = -3,
    RA_ERROR_BUSY = -4,
    RA_ERROR_UNSUPPORTED = -5,
    RA_ERROR_MEMORY = -6,
    RA_ERROR_PAGES = -7,
    RA_ERROR_NOT_RETAINED = -8,
    RA_ERROR_DEVICE = -9,
    RA_ERROR_INTERNAL = -10
};

enum { RA_BACKEND_AUTO = 0, RA_BACKEND_CPU = 1, RA_BACKEND_CUDA = 2 };
enum {
    RA_F32 = 1,
    RA_F16 = 2,
    RA_BF16 = 3,
    RA_F8E4M3 = 4,
    RA_F8E5M2 = 5,
    RA_I8 = 6,
    RA_Q8_0 = 7,
    RA_I4 = 8,
    RA_F4E2M1 = 9
};
enum { RA_KV_SEPARATE = 0, RA_KV_LATENT = 1 };
enum { RA_WINDOW_NONE = 0, RA_WINDOW_SLIDING = 1, RA_WINDOW_CHUNKED = 2 };
enum {
    RA_SCALE_NONE = 0,
    RA_SCALE_TENSOR = 1,
    RA_SCALE_HEAD = 2,
    RA_SCALE_TOKEN_HEAD = 3,
    RA_SCALE_CHANNEL = 4
};
enum { RA_TABLE_INDEX32 = 0, RA_TABLE_ADDRESS64 = 1 };
enum { RA_MODE_AUTO = 0, RA_MODE_FLAT = 1, RA_MODE_RELAY = 2 };
enum {
    RA_PLAN_GRAPH = 1,
    RA_PLAN_BATCH_INVARIANT = 2,
    RA_PLAN_TREE = 4,
    RA_PLAN_DEVICE_LENS = 8,
    RA_PLAN_FIND_SHARED = 16
};
enum { RA_ROW_NONCAUSAL = 1, RA_ROW_NEW_ABSENT = 2 };
enum {
    RA_ISA_SCALAR = 0,
    RA_ISA_AVX2 = 1,
    RA_ISA_AVX512 = 2,
    RA_ISA_AVX512_BF16 = 3,
    RA_ISA_AMX = 4,
    RA_ISA_NEON = 5
};
enum {
    RA_CONTEXT_INFO_BACKEND = 1,
    RA_CONTEXT_INFO_ORDINAL = 2,
    RA_CONTEXT_INFO_NUM_THREADS = 3,
    RA_CONTEXT_INFO_ISA = 4,
    RA_CONTEXT_INFO_SM = 5,
    RA_CONTEXT_INFO_PAGE_SIZE = 6,
    RA_CONTEXT_INFO_GRAPHS = 7
};
enum {
    RA_PLAN_INFO_LAUNCHES = 1,
    RA_PLAN_INFO_ITEMS = 2,
    RA_PLAN_INFO_RUNS = 3,
    RA_PLAN_INFO_RELAY_RUNS = 4,
    RA_PLAN_INFO_PARTIALS = 5,
    RA_PLAN_INFO_KV_BYTES = 6,
    RA_PLAN_INFO_PREDICTED_NS = 7
};

typedef struct ra_context_s* ra_context;
typedef struct ra_model_s* ra_model;
typedef struct ra_cache_s* ra_cache;
typedef struct ra_prefix_s* ra_prefix;
typedef struct ra_sequence_s* ra_sequence;
typedef struct ra_batch_s* ra_batch;
typedef void (*ra_log_fn)(void* user, int32_t level, const char* text);

int64_t ra_version(void);
int64_t ra_last_error(char* text, int64_t size);
const char* ra_status_name(ra_status status);
typedef struct ra_api ra_api;
const ra_api* ra_get_api(int64_t version);

typedef struct ra_context_options {
    int64_t struct_size;
    int32_t backend;
    int32_t ordinal;
    int64_t num_threads;
    int64_t numa_node;
} ra_context_options;
ra_status ra_context_options_init(ra_context_options* o, int64_t struct_size);
ra_status ra_context_create(const ra_context_options* o, ra_context* out);
ra_status ra_context_set_log(ra_context c, ra_log_fn log, void* user);
ra_status ra_context_query(ra_context c, int32_t property, int64_t* value_out);
void ra_context_release(ra_context c);

typedef struct ra_layer_options {
    int64_t struct_size;
    int64_t num_q_heads;
    int64_t num_kv_heads;
    int64_t head_dim_k;
    int64_t head_dim_v;
    int32_t q_dtype;
    int32_t k_dtype;
    int32_t v_dtype;
    int32_t out_dtype;
    int32_t kv_form;
    int32_t k_scale;
    int32_t v_scale;
    int32_t window_kind;
    int64_t window;
    int64_t retain;
    int64_t kv_layer;
    int32_t uses_sinks;
    int32_t uses_alibi;
    float softmax_scale;
    float logit_softcap;
} ra_layer_options;
ra_status ra_layer_options_init(ra_layer_options* o, int64_t struct_size);
ra_status ra_model_create(int64_t num_layers, ra_model* out);
ra_status ra_model_set_layers(ra_model m, int64_t first, int64_t count, const ra_layer_options* o);
ra_status ra_model_layer_group(ra_model m, int64_t layer, int64_t* group_out);
ra_status ra_context_supports(ra_context c, ra_model m, int64_t page_size, int32_t plan_flags);
void ra_model_release(ra_model m);

typedef struct ra_page_layout {
    int64_t struct_size;
    int64_t page_size;
    int64_t num_pages;
    int32_t table_kind;
    int32_t packed;
    int64_t k_page_stride;
    int64_t k_token_stride;
    int64_t k_head_stride;
    int64_t v_page_stride;
    int64_t v_token_stride;
    int64_t v_head_stride;
} ra_page_layout;
typedef struct ra_layer_memory {
    int64_t struct_size;
    void* k_pages;
    void* v_pages;
    float* k_scale;
    float* v_scale;
} ra_layer_memory;
typedef struct ra_view {
    void* data;
    int64_t token_stride;
    int64_t head_stride;
} ra_view;
typedef struct ra_kv {
    int64_t struct_size;
    ra_view k;
    ra_view v;
    const int64_t* slots;
    int64_t num_tokens;
} ra_kv;
typedef struct ra_plan_options {
    int64_t struct_size;
    int64_t max_rows;
    int64_t max_tokens;
    int64_t max_runs;
    int64_t max_kv_tokens;
    int32_t mode;
    int32_t flags;
    void* scratch;
    int64_t scratch_size;
    void* metadata;
    int64_t metadata_size;
} ra_plan_options;
typedef struct ra_attend_args {
    int64_t struct_size;
    ra_view q;
    ra_view out;
    ra_view k;
    ra_view v;
    const int64_t* slots;
    float* lse;
    int64_t lse_token_stride;
    int64_t lse_head_stride;
    const float* sink_logits;
    const float* alibi_slopes;
    const float* q_scale;
    const float* out_scale;
    float softmax_scale;
    float logit_softcap;
} ra_attend_args;
ra_status ra_plan_options_init(ra_plan_options* o, int64_t struct_size);

typedef struct ra_merge_args {
    int64_t struct_size;
    int64_t num_tokens;
    int64_t num_heads;
    int64_t head_dim;
    int32_t in_dtype;
    int32_t out_dtype;
    int32_t lse_base2;
    int32_t reserved;
    ra_view a;
    ra_view b;
    ra_view out;
    const float* a_lse;
    const float* b_lse;
    float* out_lse;
    int64_t lse_token_stride;
    int64_t lse_head_stride;
} ra_merge_args;
ra_status ra_merge_state(ra_context c, const ra_merge_args* a, void* queue);

typedef struct ra_cache_options {
    int64_t struct_size;
    int64_t page_size;
    int64_t capacity_tokens;
    int64_t max_sequences;
    void* memory;
    int64_t memory_size;
} ra_cache_options;
ra_status ra_cache_options_init(ra_cache_options* o, int64_t struct_size);
ra_status ra_cache_memory(ra_context c, ra_model m, const ra_cache_options* o, int64_t* bytes_out);
ra_status ra_cache_create(ra_context c, ra_model m, const ra_cache_options* o, ra_cache* out);
ra_status ra_cache_pages(ra_cache k, int64_t group, int64_t* total_out, int64_t* free_out);
ra_status ra_cache_layer(ra_cache k, int64_t layer, ra_page_layout* layout_out,
                         ra_layer_memory* memory_out);
void ra_cache_release(ra_cache k);

ra_status ra_prefix_create(ra_cache k, ra_prefix parent, int64_t num_tokens, ra_prefix* out);
ra_status ra_prefix_write(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue);
ra_status ra_prefix_read(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue);
ra_status ra_prefix_seal(ra_prefix p, void* queue);
ra_status ra_prefix_from_sequence(ra_sequence s, int64_t num_tokens, ra_prefix* out);
ra_status ra_prefix_split(ra_prefix p, int64_t num_tokens, ra_prefix* head_out);
ra_status ra_prefix_length(ra_prefix p, int64_t* own_out, int64_t* total_out);
ra_status ra_prefix_save(ra_prefix p, void* bytes, int64_t size, int64_t* size_out);
ra_status ra_prefix_load(ra_cache k, ra_prefix parent, const void* bytes, int64_t size,
                         ra_prefix* out);
void ra_prefix_release(ra_prefix p);

ra_status ra_sequence_attach(ra_cache k, ra_prefix p, ra_sequence* out);
ra_status ra_sequence_fork(ra_sequence s, ra_sequence* out);
ra_status ra_sequence_truncate(ra_sequence s, int64_t length);
ra_status ra_sequence_length(ra_sequence s, int64_t* length_out, int64_t* min_out);
ra_status ra_sequence_erase(ra_sequence s, int64_t pos, int64_t n);
ra_status ra_sequence_pages(ra_sequence s, int64_t group, int32_t* pages, int64_t max_pages,
                            int64_t* num_out);
void ra_sequence_release(ra_sequence s);

typedef struct ra_batch_input {
    int64_t struct_size;
    const ra_sequence* sequences;
    int64_t num_sequences;
    const int64_t* q_lens;
    int64_t num_q_lens;
    const int64_t* row_flags;
    int64_t num_row_flags;
    const uint8_t* tree_mask;
    int64_t tree_stride;
    const int64_t* spans;
    int64_t num_spans;
    int64_t padded_tokens;
} ra_batch_input;
ra_status ra_batch_memory(ra_cache k, const ra_plan_options* o, int64_t* scratch_out,
                          int64_t* metadata_out);
ra_status ra_batch_create(ra_cache k, const ra_plan_options* o, ra_batch* out);
ra_status ra_batch_pages_needed(ra_batch b, const ra_batch_input* input, int64_t group,
                                int64_t* pages_out);
ra_status ra_batch_begin(ra_batch b, const ra_batch_input* input, void* queue);
ra_status ra_batch_begin_dummy(ra_batch b, int64_t rows, int64_t q_len, int64_t kv_len,
                               void* queue);
ra_status ra_batch_attend(ra_batch b, int64_t layer, const ra_attend_args* a, void* queue);
ra_status ra_batch_attend_worker(ra_batch b, int64_t layer, const ra_attend_args* a, int64_t worker,
                                 int64_t num_workers);
ra_status ra_batch_commit(ra_batch b, const int64_t* kept, int64_t num_kept, const int64_t* index,
                          int64_t num_index, void* queue);
ra_status ra_batch_commit_device(ra_batch b, const int32_t* kept, void* queue);
ra_status ra_batch_abort(ra_batch b, void* queue);
ra_status ra_batch_query(ra_batch b, int64_t group, int32_t property, int64_t* value_out);
void ra_batch_release(ra_batch b);

struct ra_api {
    int64_t struct_size;
    int64_t (*version)(void);
    int64_t (*last_error)(char* text, int64_t size);
    const char* (*status_name)(ra_status status);
    ra_status (*context_options_init)(ra_context_options* o, int64_t struct_size);
    ra_status (*context_create)(const ra_context_options* o, ra_context* out);
    ra_status (*context_set_log)(ra_context c, ra_log_fn log, void* user);
    ra_status (*context_query)(ra_context c, int32_t property, int64_t* value_out);
    void (*context_release)(ra_context c);
    ra_status (*layer_options_init)(ra_layer_options* o, int64_t struct_size);
    ra_status (*model_create)(int64_t num_layers, ra_model* out);
    ra_status (*model_set_layers)(ra_model m, int64_t first, int64_t count,
                                  const ra_layer_options* o);
    ra_status (*model_layer_group)(ra_model m, int64_t layer, int64_t* group_out);
    ra_status (*context_supports)(ra_context c, ra_model m, int64_t page_size, int32_t plan_flags);
    void (*model_release)(ra_model m);
    ra_status (*plan_options_init)(ra_plan_options* o, int64_t struct_size);
    ra_status (*merge_state)(ra_context c, const ra_merge_args* a, void* queue);
    ra_status (*cache_options_init)(ra_cache_options* o, int64_t struct_size);
    ra_status (*cache_memory)(ra_context c, ra_model m, const ra_cache_options* o,
                              int64_t* bytes_out);
    ra_status (*cache_create)(ra_context c, ra_model m, const ra_cache_options* o, ra_cache* out);
    ra_status (*cache_pages)(ra_cache k, int64_t group, int64_t* total_out, int64_t* free_out);
    ra_status (*cache_layer)(ra_cache k, int64_t layer, ra_page_layout* layout_out,
                             ra_layer_memory* memory_out);
    void (*cache_release)(ra_cache k);
    ra_status (*prefix_create)(ra_cache k, ra_prefix parent, int64_t num_tokens, ra_prefix* out);
    ra_status (*prefix_write)(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv,
                              void* queue);
    ra_status (*prefix_read)(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue);
    ra_status (*prefix_seal)(ra_prefix p, void* queue);
    ra_status (*prefix_from_sequence)(ra_sequence s, int64_t num_tokens, ra_prefix* out);
    ra_status (*prefix_split)(ra_prefix p, int64_t num_tokens, ra_prefix* head_out);
    ra_status (*prefix_length)(ra_prefix p, int64_t* own_out, int64_t* total_out);
    ra_status (*prefix_save)(ra_prefix p, void* bytes, int64_t size, int64_t* size_out);
    ra_status (*prefix_load)(ra_cache k, ra_prefix parent, const void* bytes, int64_t size,
                             ra_prefix* out);
    void (*prefix_release)(ra_prefix p);
    ra_status (*sequence_attach)(ra_cache k, ra_prefix p, ra_sequence* out);
    ra_status (*sequence_fork)(ra_sequence s, ra_sequence* out);
    ra_status (*sequence_truncate)(ra_sequence s, int64_t length);
    ra_status (*sequence_length)(ra_sequence s, int64_t* length_out, int64_t* min_out);
    ra_status (*sequence_erase)(ra_sequence s, int64_t pos, int64_t n);
    ra_status (*sequence_pages)(ra_sequence s, int64_t group, int32_t* pages, int64_t max_pages,
                                int64_t* num_out);
    void (*sequence_release)(ra_sequence s);
    ra_status (*batch_memory)(ra_cache k, const ra_plan_options* o, int64_t* scratch_out,
                              int64_t* metadata_out);
    ra_status (*batch_create)(ra_cache k, const ra_plan_options* o, ra_batch* out);
    ra_status (*batch_pages_needed)(ra_batch b, const ra_batch_input* input, int64_t group,
                                    int64_t* pages_out);
    ra_status (*batch_begin)(ra_batch b, const ra_batch_input* input, void* queue);
    ra_status (*batch_begin_dummy)(ra_batch b, int64_t rows, int64_t q_len, int64_t kv_len,
                                   void* queue);
    ra_status (*batch_attend)(ra_batch b, int64_t layer, const ra_attend_args* a, void* queue);
    ra_status (*batch_attend_worker)(ra_batch b, int64_t layer, const ra_attend_args* a,
                                     int64_t worker, int64_t num_workers);
    ra_status (*batch_commit)(ra_batch b, const int64_t* kept, int64_t num_kept,
                              const int64_t* index, int64_t num_index, void* queue);
    ra_status (*batch_commit_device)(ra_batch b, const int32_t* kept, void* queue);
    ra_status (*batch_abort)(ra_batch b, void* queue);
    ra_status (*batch_query)(ra_batch b, int64_t group, int32_t property, int64_t* value_out);
    void (*batch_release)(ra_batch b);
};

#ifdef __cplusplus
}
#endif

#endif
