// What one attend looks like to a kernel: the step's work list in device memory, and the layer's
// call.
#pragma once

#include <cstdint>

#include "impl/core/layer.h"
#include "impl/core/plan/work_list.h"

namespace relayattn::cuda {

// Sizes of the step that is set now. Kernels read them from device memory, so that a captured graph
// stays right when a later set() changes them.
struct WorkCounts {
    int32_t num_many;  // items [0, num_many) have many rows per KV head
    int32_t num_items;
    int32_t num_tokens;
    int32_t num_merged;  // entries of merged_tokens
    int32_t padded_tokens;
    int32_t ticket;  // of the work drawn so far; 0 at upload, and again when an attend is done
    int32_t reserved[2];
};

// The work list in device memory (see impl/core/plan/work_list.h), and the partials' scratch.
struct DeviceWork {
    const WorkCounts* counts;
    int64_t bytes;  // from counts on: the block that holds everything down to slots
    const Item* items;
    const Piece* pieces;
    const int32_t* page_table;
    const int32_t* item_tokens;
    const QueryToken* tokens;
    const int32_t* partial_index;
    const int32_t* merged_tokens;
    const int64_t* slots;
    const uint8_t* tree_mask;  // read at attend; a captured graph keeps this pointer
    int64_t tree_stride;
    float* partial_o;    // [num_partials][num_q_heads][head_dim_v]
    float* partial_lse;  // [num_partials][num_q_heads], natural log, -inf = empty
};

// Strides in elements of the tensor's dtype.
struct Strided {
    void* data;
    int64_t token_stride;
    int64_t head_stride;
};

// Pages as the kernels see them: element strides, any NHD, HND or padded layout.
struct Pages {
    void* data;
    int64_t page_stride;
    int64_t token_stride;
    int64_t head_stride;
};

struct AttendParams {
    DeviceWork work;
    Strided q, out;
    Strided k, v;  // new tokens; data null = nothing to append
    Pages k_pages, v_pages;
    float* lse;  // null = not wanted
    int64_t lse_token_stride, lse_head_stride;
    const float* sink_logits;
    const float* alibi_slopes;
    float softmax_scale;
    float logit_softcap;  // 0 = none
    int32_t num_q_heads, num_kv_heads;
    int32_t head_dim_k, head_dim_v;
    int32_t page_size;
    Dtype q_dtype, kv_dtype, out_dtype;
};

// What the host knows when it launches: exact counts, or the plan's upper bounds when the launch
// may be captured. Kernels loop over their items, so that any grid is right.
struct LaunchBounds {
    int32_t num_many, num_few, num_tokens, num_merged, padded_tokens;
    int32_t num_sms;
};

}  // namespace relayattn::cuda
