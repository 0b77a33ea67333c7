// A tile of an item's keys or values: where its tokens lie, and how they come to shared memory.
#pragma once

#include <cstdint>

#include "impl/cuda/attend_params.h"
#include "impl/cuda/convert.cuh"
#include "impl/cuda/general/tiles.h"

namespace relayattn::cuda::general {

struct Alignment {
    bool q, k, v;  // whether 16-byte loads are allowed
};

struct KeyPlace {
    int32_t page;
    int32_t slot;  // in the page; < 0: past the item's end
    int32_t position;
};

// Walks over an item's pieces; each lane finds the place of its own token.
class KeyCursor {
  public:
    __device__ KeyCursor(const Piece* pieces, int count) : piece_(pieces), last_(count - 1) {}

    // Of the item's token `index`, which must not go down from call to call.
    __device__ KeyPlace place(const int32_t* page_table, int page_size, int index, int num_tokens) {
        if (index >= num_tokens)
            return {0, -1, 0};
        while (last_ > 0 && index >= first_ + piece_->num_tokens) {
            first_ += piece_->num_tokens;
            ++piece_;
            --last_;
        }
        const int offset = index - first_;
        const int slot = piece_->first_slot + offset;
        const int page = slot / page_size;
        return {page_table[piece_->table_offset + page], slot - page * page_size,
                piece_->position + offset};
    }

  private:
    const Piece* piece_;
    int last_;       // pieces after this one
    int first_ = 0;  // its first token, in the item
};

// The tile's rows of one tensor as floats, `stride` apart; zeros past the end, where memory may
// hold anything. Lane i of every warp holds the place of token i.
__device__ inline void load_keys(const Pages& pages, int dim, int stride, int kv_head, Dtype dtype,
                                 bool aligned, const KeyPlace& place, float* tile) {
    const int chunks = dim / 8;
    const int64_t head = kv_head * pages.head_stride;
    const int64_t own =
        place.slot < 0 ? -1
                       : place.page * pages.page_stride + place.slot * pages.token_stride + head;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    // A warp copies eight tokens, in rounds of several loads a lane, all in flight at once.
    constexpr int k_tokens = k_tile_tokens / k_warps;
    constexpr int k_loads = 2;
    const int count = k_tokens * chunks;
    for (int first = 0; first < count; first += 32 * k_loads) {
        Float8 value[k_loads];
#pragma unroll
        for (int n = 0; n < k_loads; ++n) {
            const int i = min(first + 32 * n + lane, count - 1);
            const int64_t at = __shfl_sync(0xffffffffu, own, warp * k_tokens + i / chunks);
            value[n] = Float8{};
            if (at >= 0)
                value[n] = load_eight(pages.data, at + 8 * (i % chunks), dtype, aligned);
        }
#pragma unroll
        for (int n = 0; n < k_loads; ++n) {
            const int i = first + 32 * n + lane;
            if (i >= count)
                continue;
            const int token = warp * k_tokens + i / chunks;
            auto* to = reinterpret_cast<float4*>(tile + token * stride + 8 * (i % chunks));
            to[0] = value[n].low;
            to[1] = value[n].high;
        }
    }
}

}  // namespace relayattn::cuda::general
