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
    const uint8_t* tree_mask;  // device memory, read at attend
    int64_t tree_stride;
};

// What a kernel needs before an item's copies can start.
struct ItemHead {
    Item item;    // first_token: index in item_tokens, or ~token where tokens are consecutive
    Piece piece;  // the first; table_offset may lead to the record's own pages
    int32_t append_from;   // positions from here on are new tokens, in the call's tensors
    int32_t append_token;  // the new token at position 0, so to speak
    int32_t reserved[2];
};

constexpr int k_record_pages = 16;

// An item as kernels read it: one load from here to the keys.
struct alignas(128) ItemRecord {
    ItemHead head;
    int32_t pages[k_record_pages];  // of the first piece, if it has no more
};
static_assert(sizeof(ItemRecord) == 128);

// Stands for "nothing is appended": beyond every position, and far enough from the ends of int32_t
// to be subtracted from.
constexpr int32_t k_no_position = 1 << 30;

// The work list in device memory (see impl/core/plan/work_list.h), and the partials' scratch.
struct DeviceWork {
    const WorkCounts* counts;
    const ItemRecord* items;
    const Piece* pieces;
    const int32_t* page_table;
    const int32_t* item_tokens;
    const QueryToken* tokens;
    const int32_t* partial_index;
    const int32_t* merged_tokens;
    const int64_t* slots;
    float* partial_o;    // [num_partials][num_q_heads][head_dim_v]
    float* partial_lse;  // [num_partials][num_q_heads], natural log, -inf = empty

#ifdef __CUDACC__
    __device__ __forceinline__ int32_t token_of(const Item& item, int32_t index) const {
        return item.first_token < 0 ? ~item.first_token + index
                                    : item_tokens[item.first_token + index];
    }
#endif
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

// What the host knows when it launches. A launch that is captured may be replayed for later steps,
// which may have other numbers: its kernels suit any, and the numbers are a guess. Kernels loop
// over their items, so that any grid is right.
struct LaunchBounds {
    int32_t num_many, num_few;          // items of the step that is set now
    int32_t many_rows;                  // most rows per KV head of one of its items
    int32_t num_merged, padded_tokens;  // of that step
    int32_t merged_partials;            // that its merged tokens have together
    int32_t num_tokens;                 // at most
    int32_t max_items;                  // that the device memory of the work list holds
    int32_t num_sms;
    bool replayed;
    bool tree;  // some item may be under a tree mask

    int32_t most_items() const { return replayed ? max_items : num_many + num_few; }
    bool may_relay() const { return replayed || num_many > 0; }
};

}  // namespace relayattn::cuda
