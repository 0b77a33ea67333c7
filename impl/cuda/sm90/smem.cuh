// Shared memory of the relay kernel.
#pragma once

#include "impl/cuda/sm90/ptx.cuh"
#include "impl/cuda/sm90/tiles.h"

namespace relayattn::cuda::sm90 {

template <class Tile>
struct Smem {
    static constexpr int alignment = 1024;
    // First, because the swizzle's atoms want addresses of multiples of 1024.
    char stages[Tile::stages][Tile::stage_bytes];  // K and V steps, in the order of their use
    char q[Tile::consumers][Tile::q_group_bytes + alignment];  // and room for its output's padding
    uint64_t full[Tile::stages];
    uint64_t empty[Tile::stages];
    int4
        steps[Tile::stages];  // of the K steps: position of slot 0, valid slots [y, z), w: the last

    static constexpr int max_bytes = 227 * 1024;
};

template <int head_dim>
constexpr bool fits = sizeof(Smem<ManyTile<head_dim, 2>>) <= Smem<ManyTile<head_dim, 2>>::max_bytes;
static_assert(fits<64> && fits<96> && fits<128> && fits<256>);

}  // namespace relayattn::cuda::sm90
