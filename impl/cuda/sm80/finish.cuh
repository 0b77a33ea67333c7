// The end of an attend: merges partials in their fixed order, adds sinks, clears padded rows.
//
// What a row costs is latency, so all its loads are under way at once: 1, 2, 4 or 8 warps share a
// row's partials, as many as the GPU has room for, and a warp asks for values before it knows
// their weights.
#pragma once

#include "impl/cuda/sm80/output.cuh"

namespace relayattn::cuda {

constexpr int k_finish_warps = 8;  // per CTA: small ones find room beside the other kernels'
constexpr int k_finish_ctas = 4;   // per SM, at most
template <int dim>
constexpr int finish_ctas = dim == 256 ? 3 : k_finish_ctas;  // that find registers
constexpr int k_finish_smem = k_finish_warps * (256 + 1) * static_cast<int>(sizeof(float));

// The partials of a row, 64 of them in the lanes. They are known before what they name is written.
struct RowPartials {
    static constexpr int held = 2 * k_warp;

    int32_t begin = 0, num = 0;  // in partial_index
    int32_t low = -1, high = -1;

    __device__ __forceinline__ RowPartials() {}
    __device__ __forceinline__ RowPartials(const DeviceWork& work, int32_t token)
        : begin(work.tokens[token].first_partial), num(work.tokens[token].num_partials) {
        look_at(work, 0);
    }

    __device__ __forceinline__ void look_at(const DeviceWork& work, int first) {
        const int at = first + static_cast<int>(threadIdx.x) % k_warp;
        low = at < num ? work.partial_index[begin + at] : -1;
        high = at + k_warp < num ? work.partial_index[begin + at + k_warp] : -1;
    }
};

// One query token and head, shared by a power of two of warps; a lane holds dim / 32 dims.
template <class T, int dim>
struct FinishRow {
    static constexpr int lane_dims = dim / k_warp;
    static constexpr int batch = dim == 256 ? 2 : 4;  // values in flight

    const AttendParams& call;
    const int warps, warp;  // that share the row; this one among them
    const int lane;
    const int head;
    float o[lane_dims];
    float sum = 0;
    float max = k_no_max;

    __device__ __forceinline__ FinishRow(const AttendParams& c, int row_warps, int q_head)
        : call(c),
          warps(row_warps),
          warp(static_cast<int>(threadIdx.x) / k_warp & (row_warps - 1)),
          lane(static_cast<int>(threadIdx.x) % k_warp),
          head(q_head) {
#pragma unroll
        for (int i = 0; i < lane_dims; ++i)
            o[i] = 0;
    }

    // In powers of two; -1 is no partial.
    __device__ __forceinline__ float lse_of(int32_t partial) const {
        if (partial < 0)
            return -INFINITY;
        return __ldcg(call.work.partial_lse + static_cast<int64_t>(partial) * call.num_q_heads +
                      head) *
               k_log2e;
    }

    __device__ __forceinline__ float max_of_rest(RowPartials partials) const {
        float top = max;
#pragma unroll 1
        for (int first = RowPartials::held; first < partials.num; first += RowPartials::held) {
            partials.look_at(call.work, first);
            top = fmaxf(top, fmaxf(lse_of(partials.low), lse_of(partials.high)));
        }
        return top;
    }

    // The first values are asked for before their weights are known.
    __device__ __forceinline__ void merge(RowPartials partials) {
        float values[batch][lane_dims];
        load(values, partials.low, 0);
        float low = lse_of(partials.low), high = lse_of(partials.high);
        max = fmaxf(max, fmaxf(low, high));
        if (partials.num > RowPartials::held)
            max = max_of_rest(partials);
#pragma unroll
        for (int mask = k_warp / 2; mask > 0; mask /= 2)
            max = fmaxf(max, __shfl_xor_sync(~0u, max, mask));
        low = ptx::exp2_approx(low - max);
        high = ptx::exp2_approx(high - max);
        int first = 0, at = 0;  // partials from `first` on are in the lanes
#pragma unroll 1
        while (true) {
            add(values, at < k_warp ? low : high, at);
            at += batch * warps;
            if (at >= RowPartials::held) {
                at = 0;
                first += RowPartials::held;
                partials.look_at(call.work, first);
                low = ptx::exp2_approx(lse_of(partials.low) - max);
                high = ptx::exp2_approx(lse_of(partials.high) - max);
            }
            if (first + at >= partials.num)
                break;
            load(values, at < k_warp ? partials.low : partials.high, at);
        }
    }

    // The lane that holds the warp's k-th partial from `at` on: a batch of them stays in one half.
    __device__ __forceinline__ int lane_of(int at, int k) const {
        return (at + k * warps + warp) % k_warp;
    }

    __device__ __forceinline__ void load(float (&values)[batch][lane_dims], int32_t partial,
                                         int at) const {
        const float* from = call.work.partial_o + head * dim + lane * lane_dims;
        const int stride = call.num_q_heads * dim;
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const int32_t index = __shfl_sync(~0u, partial, lane_of(at, k));
            if (index >= 0)
                load_dims(values[k], from + static_cast<int64_t>(index) * stride);
        }
    }

    // A weight of 0: there is no partial, or it is empty and its values mean nothing.
    __device__ __forceinline__ void add(const float (&values)[batch][lane_dims], float weight,
                                        int at) {
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const float w = __shfl_sync(~0u, weight, lane_of(at, k));
            if (!(w > 0))
                continue;
            sum += w;
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                o[i] += w * values[k][i];
        }
    }

    static __device__ __forceinline__ void load_dims(float (&to)[lane_dims], const float* from) {
        if constexpr (lane_dims % 4 == 0) {
#pragma unroll
            for (int i = 0; i < lane_dims; i += 4) {
                const float4 x = __ldcg(reinterpret_cast<const float4*>(from + i));
                to[i] = x.x;
                to[i + 1] = x.y;
                to[i + 2] = x.z;
                to[i + 3] = x.w;
            }
        } else {
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                to[i] = __ldcg(from + i);
        }
    }

    // Adds up the warps' sums, in their order, into warp 0's. `exchange` holds a row of dims and
    // its sum for each warp.
    __device__ __forceinline__ void join_warps(float* exchange, int barrier_id) {
        constexpr int row = dim + 1;
        if (warp > 0) {
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                exchange[warp * row + i * k_warp + lane] = o[i];
            if (lane == 0)
                exchange[warp * row + dim] = sum;
        }
        ptx::barrier(barrier_id, warps * k_warp);
        if (warp == 0) {
#pragma unroll 1
            for (int w = 1; w < warps; ++w) {
#pragma unroll
                for (int i = 0; i < lane_dims; ++i)
                    o[i] += exchange[w * row + i * k_warp + lane];
                sum += exchange[w * row + dim];
            }
        }
        ptx::barrier(barrier_id, warps * k_warp);
    }

    __device__ __forceinline__ void store(int32_t token, bool with_sink) {
        float scale = 1, total = sum;
        if (with_sink && call.sink_logits) {
            const float sink = call.sink_logits[head] * k_log2e;
            const float top = fmaxf(max, sink);
            scale = ptx::exp2_approx(max - top);
            total = total * scale + ptx::exp2_approx(sink - top);
            max = top;
        }
        const RowResult result = finish_row(max, total);
        scale *= result.scale;
        T* to = output_row<T>(call, token, head) + lane * lane_dims;
        if constexpr (lane_dims % 2 == 0) {
#pragma unroll
            for (int i = 0; i < lane_dims; i += 2)
                reinterpret_cast<uint32_t*>(to)[i / 2] =
                    ptx::pack<T>(o[i] * scale, o[i + 1] * scale);
        } else {
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                to[i] = T(o[i] * scale);
        }
        if (lane == 0 && call.lse)
            call.lse[token * call.lse_token_stride + head * call.lse_head_stride] = result.lse;
    }
};

// A kernel's whole body; each family has a kernel of its own, because its code is for other GPUs.
template <class T, int dim>
__device__ __forceinline__ void finish_rows(const KernelParams& p) {
    extern __shared__ __align__(16) float exchange[];
    const AttendParams& call = p.call;
    const int row_warps = p.finish_row_warps;
    const int cta_rows = k_finish_warps / row_warps;
    const int group = static_cast<int>(threadIdx.x) / k_warp / row_warps;
    const int num_merged = call.work.counts->num_merged;
    const int merged = num_merged * call.num_q_heads;
    const int rows = merged + call.work.counts->padded_tokens * call.num_q_heads;
    bool waited = false;
    for (int r = blockIdx.x * cta_rows + group; r < rows; r += gridDim.x * cta_rows) {
        const int entry = p.by_q_heads.divide(r);
        int32_t token = call.work.counts->num_tokens + entry - num_merged;  // a padded row
        RowPartials partials;
        if (r < merged) {
            token = call.work.merged_tokens[entry];
            partials = RowPartials(call.work, token);
        }
        // While the first row's partials are being written, its merge is rehearsed without any: the
        // code is in the instruction cache then, which costs microseconds after the wait.
#pragma unroll 1
        for (int pass = waited ? 1 : 0; pass < 2; ++pass) {
            if (pass == 1 && !waited) {
                ptx::wait_for_previous_kernel();
                waited = true;
            }
            FinishRow<T, dim> row(call, row_warps, r - entry * call.num_q_heads);
            row.merge(pass == 0 ? RowPartials() : partials);
            if (row_warps > 1)
                row.join_warps(exchange + group * row_warps * (dim + 1), 1 + group);
            if (pass == 1 && row.warp == 0)
                row.store(token, r < merged);
        }
    }
    if (!waited)
        ptx::wait_for_previous_kernel();
}

}  // namespace relayattn::cuda
