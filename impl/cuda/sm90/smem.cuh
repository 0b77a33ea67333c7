// Shared memory of the attend kernel: many-row and few-row items use it one after the other.
#pragma once

#include "impl/cuda/sm80/few_rows.cuh"
#include "impl/cuda/sm90/ptx.cuh"
#include "impl/cuda/sm90/tiles.h"

namespace relayattn::cuda::sm90 {

template <int head_dim>
struct ManySmem {
    using Tile = ManyTile<head_dim>;
    char stages[Tile::stages][Tile::stage_bytes];  // K and V steps, in the order of their use
    char q[k_consumers][Tile::q_group_bytes];
};

template <int head_dim>
struct FewGroupsSmem {
    char groups[FewTile<head_dim>::groups][FewTile<head_dim>::warps * FewSmem<head_dim>::bytes];
};

template <int head_dim>
struct Smem {
    using Tile = ManyTile<head_dim>;
    union {
        ManySmem<head_dim> many;
        FewGroupsSmem<head_dim> few;
    };
    uint64_t full[Tile::stages];
    uint64_t empty[Tile::stages];
    int4 steps[Tile::stages];  // of the K steps: position of slot 0, valid slots [y, z)
    int32_t drawn[FewTile<head_dim>::groups];

    // The swizzle's atoms want it; dynamic shared memory begins at such an address when there is no
    // static one.
    static constexpr int alignment = 1024;
    static constexpr int max_bytes = 227 * 1024;
};

static_assert(sizeof(Smem<64>) <= Smem<64>::max_bytes);
static_assert(sizeof(Smem<96>) <= Smem<96>::max_bytes);
static_assert(sizeof(Smem<128>) <= Smem<128>::max_bytes);
static_assert(sizeof(Smem<256>) <= Smem<256>::max_bytes);

}  // namespace relayattn::cuda::sm90
