// What stands between a product and its softmax weight: soft-cap, ALiBi, and which keys a query
// sees.
#pragma once

#include "impl/cuda/sm80/kernel_params.h"
#include "impl/cuda/sm80/ptx.cuh"

namespace relayattn::cuda {

// Stands for "no key seen yet": finite, so that differences with it never give NaN.
constexpr float k_no_max = -1e30f;
// A running maximum may lag by so many powers of two: weights stay far from overflow in f16, and
// most steps need no rescale (FlashAttention-4's lazy rescale).
constexpr float k_max_lag = 8;

// One query row of the packed rows [query tokens of the item][heads of the KV head's group].
struct Row {
    int32_t token;  // in the step, or -1: padding of the tile
    int32_t head;   // query head
};

__device__ __forceinline__ Row row_of(const KernelParams& p, const Item& item, int kv_head,
                                      int row) {
    const int token = p.by_group.divide(row);
    if (token >= item.num_tokens)
        return {-1, 0};
    const int head = kv_head * p.group + row - token * p.group;
    return {p.call.work.token_of(item, token), head};
}

__device__ __forceinline__ float tanh_accurate(float x) {
    return 1.0f - __fdividef(2.0f, 1.0f + ptx::exp2_approx(2.0f * k_log2e * x));
}

// The score in powers of two, soft-capped and with ALiBi's bias.
__device__ __forceinline__ float transform_score(const AttendParams& call, float product,
                                                 float slope, int distance) {
    float score = product * call.softmax_scale;
    if (call.logit_softcap > 0)
        score = call.logit_softcap * tanh_accurate(score / call.logit_softcap);
    score -= slope * fabsf(static_cast<float>(distance));
    return score * k_log2e;
}

// What one row sees. Rows of padding see nothing.
struct Sight {
    int32_t begin = 0, end = 0;
    int32_t position = 0;
    int32_t new_begin = 0;
    float slope = 0;
    const uint8_t* tree = nullptr;  // its mask row, or null
};

__device__ __forceinline__ Sight sight_of(const AttendParams& call, const Item& item, Row row) {
    Sight s;
    if (row.token < 0)
        return s;
    const QueryToken token = call.work.tokens[row.token];
    s.begin = token.visible_begin;
    s.end = token.visible_end;
    s.position = token.position;
    s.new_begin = token.new_begin;
    if (call.alibi_slopes)
        s.slope = call.alibi_slopes[row.head];
    if (item.tree)
        s.tree = call.work.counts->tree_mask + row.token * call.work.counts->tree_stride;
    return s;
}

__device__ __forceinline__ bool sees(const Sight& s, int position) {
    if (position < s.begin || position >= s.end)
        return false;
    if (!s.tree || position < s.new_begin)
        return true;
    const int bit = position - s.new_begin;
    return (s.tree[bit >> 3] >> (bit & 7)) & 1;
}

// Positions from here on are the step's own tokens, whose K and V are still in the call's tensors;
// an item that covers them belongs to one sequence.
__device__ __forceinline__ int append_begin(const AttendParams& call, int32_t append_from) {
    return call.k.data ? append_from : k_no_position;
}

// The output of one row given by its softmax state (max in powers of two, sum) over all parts.
struct RowResult {
    float scale;  // of the unnormalised output
    float lse;
};

__device__ __forceinline__ RowResult finish_row(float max, float sum) {
    if (!(sum > 0))
        return {0.0f, -INFINITY};
    return {__fdividef(1.0f, sum), (max + log2f(sum)) * k_ln2};
}

}  // namespace relayattn::cuda
