// Shapes of the general kernel's tiles, shared by host and device.
#pragma once

#include <algorithm>
#include <cstdint>

namespace relayattn::cuda::general {

inline constexpr int k_threads = 128;
inline constexpr int k_warps = k_threads / 32;
inline constexpr int k_warp_rows = 4;
inline constexpr int k_tile_rows = k_warps * k_warp_rows;
inline constexpr int k_tile_tokens = 32;  // a lane scores one token

// Floats from one key to the next in shared memory: lanes of a quarter warp then read their
// four-float chunks from different banks.
constexpr int key_stride(int head_dim_k) {
    return head_dim_k + 4;
}

// Queries, probabilities, and one buffer that keys and values take in turn; in floats.
constexpr int query_floats(int head_dim_k) {
    return k_tile_rows * head_dim_k;
}
constexpr int probability_floats() {
    return k_tile_rows * k_tile_tokens;
}
constexpr int tile_floats(int head_dim_k, int head_dim_v) {
    return k_tile_tokens * std::max(key_stride(head_dim_k), head_dim_v);
}
constexpr int shared_bytes(int head_dim_k, int head_dim_v) {
    return 4 *
           (query_floats(head_dim_k) + probability_floats() + tile_floats(head_dim_k, head_dim_v));
}

}  // namespace relayattn::cuda::general
