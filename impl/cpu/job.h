// What a kernel is given, as plain data, and the table of functions that one instruction set
// exports. Files of every instruction set include this: no function here may be inline.
#pragma once

#include <cstdint>

#include "impl/core/layer.h"
#include "impl/core/plan/work_list.h"
#include "impl/cpu/page_layout.h"

namespace relayattn::cpu {

// A ragged [tokens, heads, dim] tensor; strides in bytes.
struct Rows {
    char* data;
    int64_t token_stride, head_stride;
};

// Float32 partials of merged tokens, [partial][query head]: o is not yet divided by l.
struct Partials {
    float* o;  // [...][head_dim_v]
    float* m;  // reference of the exponents, log2; -inf = sees nothing
    float* l;  // sum of 2^(score - m)
};

// One attend call on one set work list.
struct AttendJob {
    const Item* items;
    const Piece* pieces;
    const int32_t* page_table;
    const int32_t* item_tokens;
    const QueryToken* tokens;
    const int32_t* partial_index;
    const uint8_t* tree_mask;
    int64_t tree_stride;
    Partials partials;

    PackedLayout layout;
    Dtype kv_dtype, q_dtype, out_dtype;
    const char* k_pages;
    const char* v_pages;
    Rows q, out;
    float* lse;  // null = not wanted
    int64_t lse_token_stride, lse_head_stride;
    const float* sink_logits;
    const float* alibi_slopes;
    int64_t num_q_heads, group_size;

    // Scores are kept in log2 units. q is multiplied by q_scale as it is read; with a soft cap that
    // makes the argument of tanh, which score_cap brings to log2 units.
    float q_scale;
    float score_cap;  // 0 = none

    int64_t step_columns;  // columns of scores per step, a multiple of 16, <= k_max_columns
    int64_t idle_rows;     // units of so many rows leave memory idle
};

struct MergeJob {
    int64_t num_tokens, num_heads, head_dim;
    Dtype in_dtype, out_dtype;
    Rows a, b, out;
    const float* a_lse;
    const float* b_lse;
    float* out_lse;  // null = not wanted
    int64_t lse_token_stride, lse_head_stride;
    float lse_to_log2;
};

// Short steps keep what was prefetched in L1: 256 were up to 6 % slower on a Zen 5, 64 up to 8 %.
constexpr int64_t k_max_columns = 128;

// One item on one KV head; item < 0 is none.
struct WorkUnit {
    int64_t item, head;
};

// Tails that a thread attends between the steps of a unit of many rows. Those steps wait for
// arithmetic and leave memory idle, so they prefetch the tails' KV.
struct Beside {
    WorkUnit (*next)(void* self);  // claims a tail; no item when none is left
    void (*done)(void* self, WorkUnit tail);
    void* self;
    double per_step;  // tails
    void* scratch;
};

struct KernelTable {
    // Writes the output rows of the item's tokens, or their partials. `upcoming` is what this
    // thread will run next, as far as it knows: its first K is prefetched. `beside` may be null.
    void (*attend)(const AttendJob& job, WorkUnit unit, WorkUnit upcoming, const Beside* beside,
                   void* scratch);
    // Merges the partials of one token for the query heads of one KV head.
    void (*finish)(const AttendJob& job, int64_t token, int64_t head);
    // The rows of a token that sees nothing, or of a padded one.
    void (*blank)(const AttendJob& job, int64_t token, bool padded);
    void (*merge)(const MergeJob& job, int64_t begin_token, int64_t end_token);
};

extern const KernelTable k_scalar_kernels;
extern const KernelTable k_avx2_kernels;
extern const KernelTable k_avx512_kernels;
extern const KernelTable k_avx512_bf16_kernels;
extern const KernelTable k_amx_kernels;
extern const KernelTable k_neon_kernels;

}  // namespace relayattn::cpu
