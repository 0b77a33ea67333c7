#include <algorithm>

#include "impl/cuda/convert.cuh"
#include "impl/cuda/finish.h"
#include "impl/cuda/reduce.cuh"

namespace relayattn::cuda {
namespace {

constexpr int k_finish_threads = 128;
constexpr int k_warps = k_finish_threads / 32;
constexpr int k_dims_per_lane = 8;  // 256 / 32
constexpr int k_unroll = 4;         // partials in flight per lane

struct Row {
    int64_t token;
    int head;
};

__device__ void write_lse(const AttendParams& p, Row row, float lse) {
    if (p.lse != nullptr)
        p.lse[row.token * p.lse_token_stride + row.head * p.lse_head_stride] = lse;
}

__device__ int64_t out_index(const AttendParams& p, Row row) {
    return row.token * p.out.token_stride + row.head * p.out.head_stride;
}

// The largest LSE among a token's partials, and its sink's.
__device__ float largest_lse(const AttendParams& p, const QueryToken& token, Row row, int lane) {
    float top = p.sink_logits != nullptr ? p.sink_logits[row.head] : -INFINITY;
    for (int i = lane; i < token.num_partials; i += 32) {
        const int64_t partial = p.work.partial_index[token.first_partial + i];
        top = fmaxf(top, p.work.partial_lse[partial * p.num_q_heads + row.head]);
    }
    return warp_max(top);
}

// Adds `count` partials, weighted, in their order. Loads come first, so that they overlap.
__device__ void add_partials(const AttendParams& p, const int32_t* index, int count, int head,
                             float top, int lane, float& total, float (&sum)[k_dims_per_lane]) {
    float weight[k_unroll];
    float value[k_unroll][k_dims_per_lane];
#pragma unroll
    for (int i = 0; i < k_unroll; ++i) {
        const int64_t row = static_cast<int64_t>(index[min(i, count - 1)]) * p.num_q_heads + head;
        const float lse = i < count ? p.work.partial_lse[row] : -INFINITY;
        weight[i] = expf(lse - top);
        const float* from = p.work.partial_o + row * p.head_dim_v;
#pragma unroll
        for (int j = 0; j < k_dims_per_lane; ++j)
            value[i][j] = lane + 32 * j < p.head_dim_v ? from[lane + 32 * j] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < k_unroll; ++i) {
        if (weight[i] == 0)  // an empty partial's values mean nothing
            continue;
        total += weight[i];
#pragma unroll
        for (int j = 0; j < k_dims_per_lane; ++j)
            sum[j] += weight[i] * value[i][j];
    }
}

__device__ void merge_row(const AttendParams& p, Row row, int lane) {
    const QueryToken& token = p.work.tokens[row.token];
    const float top = largest_lse(p, token, row, lane);
    float sum[k_dims_per_lane] = {};
    float total = 0;
    if (top != -INFINITY) {
        if (p.sink_logits != nullptr)
            total = expf(p.sink_logits[row.head] - top);
        const int32_t* index = p.work.partial_index + token.first_partial;
        for (int i = 0; i < token.num_partials; i += k_unroll)
            add_partials(p, index + i, min(k_unroll, token.num_partials - i), row.head, top, lane,
                         total, sum);
    }
    const float scale = total > 0 ? 1 / total : 0;
    const int64_t out = out_index(p, row);
#pragma unroll
    for (int j = 0; j < k_dims_per_lane; ++j)
        if (lane + 32 * j < p.head_dim_v)
            store_float(p.out.data, out + lane + 32 * j, sum[j] * scale, p.out_dtype);
    if (lane == 0)
        write_lse(p, row, total > 0 ? top + logf(total) : -INFINITY);
}

__device__ void clear_row(const AttendParams& p, Row row, int lane) {
    for (int d = lane; d < p.head_dim_v; d += 32)
        store_float(p.out.data, out_index(p, row) + d, 0, p.out_dtype);
    if (lane == 0)
        write_lse(p, row, -INFINITY);
}

// A warp takes a row at a time: the merged tokens' rows, then the padded ones'.
__global__ void __launch_bounds__(k_finish_threads)
    finish_rows(const __grid_constant__ AttendParams p) {
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const WorkCounts counts = *p.work.counts;
    const int64_t merged = static_cast<int64_t>(counts.num_merged) * p.num_q_heads;
    const int64_t rows = merged + static_cast<int64_t>(counts.padded_tokens) * p.num_q_heads;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * k_warps + threadIdx.x / 32; i < rows;
         i += static_cast<int64_t>(gridDim.x) * k_warps) {
        const int head = static_cast<int>(i % p.num_q_heads);
        const int64_t token = i / p.num_q_heads;
        if (i < merged)
            merge_row(p, {p.work.merged_tokens[token], head}, lane);
        else
            clear_row(p, {token - counts.num_merged + counts.num_tokens, head}, lane);
    }
}

}  // namespace

cudaError_t prepare_finish() {
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, finish_rows);
}

void launch_finish(const AttendParams& params, const LaunchBounds& bounds, bool early,
                   cudaStream_t stream) {
    const int64_t rows =
        (static_cast<int64_t>(bounds.num_merged) + bounds.padded_tokens) * params.num_q_heads;
    if (rows == 0 && !bounds.replayed)
        return;
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = static_cast<unsigned>(std::clamp<int64_t>((rows + k_warps - 1) / k_warps,
                                                               bounds.replayed ? bounds.num_sms : 1,
                                                               int64_t{bounds.num_sms} * 16));
    config.blockDim = k_finish_threads;
    config.stream = stream;
    config.attrs = &attribute;
    config.numAttrs = early ? 1 : 0;
    cudaLaunchKernelEx(&config, finish_rows, params);
}

}  // namespace relayattn::cuda
