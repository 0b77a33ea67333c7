// Tile shapes of the sm_90a kernels, by head dim.
#pragma once

#include <cstdint>

namespace relayattn::cuda::sm90 {

constexpr int k_group_rows = 64;  // query rows of one consumer warpgroup
constexpr int k_consumers = 2;    // warpgroups
constexpr int k_tile_rows = k_group_rows * k_consumers;
constexpr int k_group_threads = 128;
constexpr int k_warp_threads = 32;

constexpr int k_box_columns = 64;  // 128 bytes: one row of the swizzle
constexpr int k_swizzle_row = 128;
constexpr int k_max_box_slots = 64;

// With one consumer a CTA leaves room on its SM for few-row CTAs beside it.
template <int head_dim, int num_consumers>
struct ManyTile {
    static constexpr int consumers = num_consumers;
    // Columns in shared memory: 96 is padded with the copy engine's zeros.
    static constexpr int dim = head_dim <= 64 ? 64 : head_dim <= 128 ? 128 : 256;
    static constexpr int step = dim == 256 || consumers == 1 ? 64 : 128;  // tokens
    static constexpr int column_blocks = dim / k_box_columns;
    static constexpr int block_bytes = step * k_swizzle_row;  // one block of 64 columns of K or V
    static constexpr int stage_bytes = column_blocks * block_bytes;
    static constexpr int q_block_bytes = k_group_rows * k_swizzle_row;
    static constexpr int q_group_bytes = column_blocks * q_block_bytes;
    static constexpr int stages = consumers == 1 ? (dim == 64    ? 12
                                                    : dim == 128 ? 7
                                                                 : 4)
                                  : dim == 64    ? 10
                                  : dim == 128   ? 6
                                                 : 5;
    // One warp feeds the consumers. Beside two of them it comes with a whole warpgroup, because
    // only warpgroups hand registers over.
    static constexpr int producer_threads = consumers == 1 ? k_warp_threads : k_group_threads;
    // Registers per thread that the roles take then: together what the launch gave them.
    static constexpr int producer_registers = 40;
    static constexpr int consumer_registers = 232;
    static constexpr int consumer_threads = consumers * k_group_threads;
    static constexpr int threads = consumer_threads + producer_threads;
};

}  // namespace relayattn::cuda::sm90
