// Shared memory of the relay kernel.
#pragma once

#include "impl/cuda/sm90/ptx.cuh"
#include "impl/cuda/sm90/tiles.h"

namespace relayattn::cuda::sm90 {

template <int head_dim, int consumers>
struct Smem {
    using Tile = ManyTile<head_dim, consumers>;
    // First, because the swizzle's atoms want addresses of multiples of 1024.
    char stages[Tile::stages][Tile::stage_bytes];  // K and V steps, in the order of their use
    char q[consumers][Tile::q_group_bytes];
    uint64_t full[Tile::stages];
    uint64_t empty[Tile::stages];
    int4
        steps[Tile::stages];  // of the K steps: position of slot 0, valid slots [y, z), w: the last

    static constexpr int alignment = 1024;
    static constexpr int max_bytes = 227 * 1024;
};

static_assert(sizeof(Smem<64, 2>) <= Smem<64, 2>::max_bytes);
static_assert(sizeof(Smem<96, 2>) <= Smem<96, 2>::max_bytes);
static_assert(sizeof(Smem<128, 2>) <= Smem<128, 2>::max_bytes);
static_assert(sizeof(Smem<256, 2>) <= Smem<256, 2>::max_bytes);

}  // namespace relayattn::cuda::sm90
