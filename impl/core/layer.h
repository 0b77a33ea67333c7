// What a layer's attention looks like: geometry, dtypes, window. Plain data, shared by core and
// backends.
#pragma once

#include <cstdint>

namespace relayattn {

enum class Dtype : int32_t { f32 = 1, f16 = 2, bf16 = 3 };

constexpr int64_t size_of(Dtype dtype) {
    return dtype == Dtype::f32 ? 4 : 2;
}

enum class WindowKind : int32_t { none = 0, sliding = 1, chunked = 2 };

// How K and V of one layer are stored; layers with equal geometry can share page tables.
struct KvGeometry {
    int64_t num_kv_heads = 0;
    int64_t head_dim_k = 0;
    int64_t head_dim_v = 0;
    Dtype dtype = Dtype::bf16;

    bool operator==(const KvGeometry&) const = default;
};

// The keys that one query may see: sliding = the last `size` including itself, chunked = position /
// size.
struct Window {
    WindowKind kind = WindowKind::none;
    int64_t size = 0;
    int64_t retain = 0;  // tokens kept for rollback; 0 = size, -1 = all

    bool operator==(const Window&) const = default;
};

struct Layer {
    KvGeometry kv;
    Window window;
    int64_t num_q_heads = 0;
    Dtype q_dtype = Dtype::bf16;
    Dtype out_dtype = Dtype::bf16;
    int64_t kv_layer = -1;  // the layer whose pages this one reads; -1 = its own
    int64_t group = -1;
    bool uses_sinks = false;
    bool uses_alibi = false;
    bool is_set = false;
    float softmax_scale = 0;  // already resolved: never 0 once set
    float logit_softcap = 0;  // 0 = none

    int64_t group_size() const { return num_q_heads / kv.num_kv_heads; }
};

}  // namespace relayattn
