// Tile shapes of the sm_90a kernels, by head dim.
#pragma once

#include <cstdint>

namespace relayattn::cuda::sm90 {

constexpr int k_group_rows = 64;  // query rows of one consumer warpgroup
constexpr int k_consumers = 2;    // warpgroups
constexpr int k_tile_rows = k_group_rows * k_consumers;
constexpr int k_group_threads = 128;
constexpr int k_threads = (1 + k_consumers) * k_group_threads;
constexpr int k_box_columns = 64;  // 128 bytes: one row of the swizzle
constexpr int k_swizzle_row = 128;
constexpr int k_max_box_slots = 64;

// Registers per thread: what 384 threads can have each, and what the roles of a many-row item take.
constexpr int k_even_registers = 168;
constexpr int k_producer_registers = 40;
constexpr int k_consumer_registers = 232;

template <int head_dim>
struct ManyTile {
    // Columns in shared memory: 96 is padded with the copy engine's zeros.
    static constexpr int dim = head_dim <= 64 ? 64 : head_dim <= 128 ? 128 : 256;
    static constexpr int step = dim == 256 ? 64 : 128;  // tokens
    static constexpr int stages = dim == 64 ? 10 : dim == 128 ? 6 : 5;
    static constexpr int column_blocks = dim / k_box_columns;
    static constexpr int block_bytes = step * k_swizzle_row;  // one block of 64 columns of K or V
    static constexpr int stage_bytes = column_blocks * block_bytes;
    static constexpr int q_block_bytes = k_group_rows * k_swizzle_row;
    static constexpr int q_group_bytes = column_blocks * q_block_bytes;
};

// Warps that share a few-row item, and how many such groups a CTA of k_threads holds.
template <int head_dim>
struct FewTile {
    static constexpr int warps = head_dim == 256 ? 2 : 4;
    static constexpr int groups = 3;
};

}  // namespace relayattn::cuda::sm90
