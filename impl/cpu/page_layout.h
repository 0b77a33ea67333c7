// The order of K and V inside a page: the one file that knows it. Head-major, so that a kernel
// working on one KV head reads consecutive memory:
//
//   page of K:  [kv head][slot / 16][dim / U][16 slots][U dims]     a block = 16 slots of one head
//   page of V:  [kv head][dim / 16][slot / U][16 dims][U slots]     a panel = 16 dims of one head
//
// U = 2 for bf16: a 32-bit lane then holds two consecutive terms of one product, which widen to
// float32 by a shift and by a mask without a shuffle, and which vdpbf16ps consumes as they are.
// U = 1 for float32 and float16.
//
// The last block of a page and the last panel of a head may be partly unused; what they hold is
// never multiplied into a result.
#pragma once

#include <cstdint>

#include "impl/core/layer.h"

namespace relayattn::cpu {

constexpr int64_t k_lane = 16;  // slots of a K block, dims of a V panel

// Offsets and strides in elements.
struct PackedLayout {
    int64_t page_size, num_kv_heads, head_dim_k, head_dim_v;
    int64_t interleave;               // U
    int64_t k_block, k_head, k_page;  // strides of K
    int64_t v_panel, v_head, v_page;  // strides of V
};

// The functions are static, not inline: files built for different instruction sets include them,
// and must not share one copy.

static constexpr int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

static constexpr PackedLayout packed_layout(const KvGeometry& kv, int64_t page_size) {
    PackedLayout p{};
    p.page_size = page_size;
    p.num_kv_heads = kv.num_kv_heads;
    p.head_dim_k = kv.head_dim_k;
    p.head_dim_v = kv.head_dim_v;
    p.interleave = kv.dtype == Dtype::bf16 ? 2 : 1;
    p.k_block = k_lane * kv.head_dim_k;
    p.k_head = round_up(page_size, k_lane) / k_lane * p.k_block;
    p.k_page = round_up(kv.num_kv_heads * p.k_head, 32);  // 64 bytes of the smallest element
    p.v_panel = k_lane * round_up(page_size, p.interleave);
    p.v_head = round_up(kv.head_dim_v, k_lane) / k_lane * p.v_panel;
    p.v_page = round_up(kv.num_kv_heads * p.v_head, 32);
    return p;
}

// Of K's first dim in a slot; dim d follows at k_dim(p, d).
static constexpr int64_t k_slot(const PackedLayout& p, int64_t head, int64_t slot) {
    return head * p.k_head + slot / k_lane * p.k_block + slot % k_lane * p.interleave;
}

static constexpr int64_t k_dim(const PackedLayout& p, int64_t dim) {
    return dim / p.interleave * (k_lane * p.interleave) + dim % p.interleave;
}

// Of V's first dim in a slot; dim d follows at v_dim(p, d).
static constexpr int64_t v_slot(const PackedLayout& p, int64_t head, int64_t slot) {
    return head * p.v_head + slot / p.interleave * (k_lane * p.interleave) + slot % p.interleave;
}

static constexpr int64_t v_dim(const PackedLayout& p, int64_t dim) {
    return dim / k_lane * p.v_panel + dim % k_lane * p.interleave;
}

}  // namespace relayattn::cpu
