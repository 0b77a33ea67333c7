#include <algorithm>

#include "impl/cuda/convert.cuh"
#include "impl/cuda/finish.h"

namespace relayattn::cuda {
namespace {

constexpr int k_merge_threads = 128;
constexpr int k_warps = k_merge_threads / 32;
constexpr float k_log2e = 1.4426950408889634f;

struct Weights {
    float a, b, lse;
};

// An infinite LSE, of either sign, marks an empty part.
__device__ Weights weigh(float a, float b, bool base2) {
    const bool a_empty = isinf(a), b_empty = isinf(b);
    if (a_empty || b_empty)
        return {a_empty ? 0.0f : 1.0f, b_empty ? 0.0f : 1.0f,
                !a_empty ? a : (!b_empty ? b : -INFINITY)};
    const float top = fmaxf(a, b);
    const float unit = base2 ? 1.0f : k_log2e;
    const float wa = exp2f((a - top) * unit), wb = exp2f((b - top) * unit);
    const float total = wa + wb;
    return {wa / total, wb / total, top + (base2 ? log2f(total) : logf(total))};
}

// A warp takes a row at a time. `out` may be `a`: each element is read before it is written.
__global__ void __launch_bounds__(k_merge_threads)
    merge_rows(const __grid_constant__ MergeCall call) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int64_t rows = call.num_tokens * call.num_heads;
    const int64_t in_size = size_of(call.in_dtype), out_size = size_of(call.out_dtype);
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * k_warps + threadIdx.x / 32; i < rows;
         i += static_cast<int64_t>(gridDim.x) * k_warps) {
        const int64_t token = i / call.num_heads, head = i % call.num_heads;
        const int64_t lse = token * call.lse_token_stride + head * call.lse_head_stride;
        const Weights weights = weigh(call.a_lse[lse], call.b_lse[lse], call.base2);
        __syncwarp();  // every lane has read a_lse, which out_lse may be
        const auto start = [&](const View& view, int64_t size) {
            return (token * view.token_stride + head * view.head_stride) / size;
        };
        const int64_t a = start(call.a, in_size), b = start(call.b, in_size);
        const int64_t out = start(call.out, out_size);
        for (int64_t d = lane; d < call.head_dim; d += 32) {
            float value = 0;
            if (weights.a != 0)
                value = weights.a * load_float(call.a.data, a + d, call.in_dtype);
            if (weights.b != 0)
                value += weights.b * load_float(call.b.data, b + d, call.in_dtype);
            store_float(call.out.data, out + d, value, call.out_dtype);
        }
        if (lane == 0 && call.out_lse != nullptr)
            call.out_lse[lse] = weights.lse;
    }
}

}  // namespace

void launch_merge(const MergeCall& call, cudaStream_t stream) {
    const int64_t rows = call.num_tokens * call.num_heads;
    if (rows == 0)
        return;
    const auto blocks =
        static_cast<unsigned>(std::min<int64_t>((rows + k_warps - 1) / k_warps, 1 << 16));
    merge_rows<<<blocks, k_merge_threads, 0, stream>>>(call);
}

}  // namespace relayattn::cuda
