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

// The partials of a row, 32 of them in the lanes. They are known before what they name is written.
struct RowPartials {
    const int32_t* indexes = nullptr;
    int32_t num = 0, index = 0;

    __device__ __forceinline__ RowPartials() {}
    __device__ __forceinline__ RowPartials(const DeviceWork& work, int32_t token) {
        const QueryToken row = work.tokens[token];
        indexes = work.partial_index + row.first_partial;
        num = row.num_partials;
        look_at(0);
    }

    __device__ __forceinline__ int lane_partial(int first) const {
        return first + static_cast<int>(threadIdx.x) % k_warp;
    }
    __device__ __forceinline__ void look_at(int first) {
        index = lane_partial(first) < num ? indexes[lane_partial(first)] : 0;
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

    // Powers of two; of the lane's partial.
    __device__ __forceinline__ float lse_of(const RowPartials& partials, int first) const {
        if (partials.lane_partial(first) >= partials.num)
            return -INFINITY;
        return __ldcg(call.work.partial_lse +
                      static_cast<int64_t>(partials.index) * call.num_q_heads + head) *
               k_log2e;
    }

    // The first values are asked for before their weights are known.
    __device__ __forceinline__ void merge(RowPartials partials) {
        float values[batch][lane_dims];
        load(values, partials, 0, 0);
        float weight = lse_of(partials, 0);
        max = fmaxf(max, weight);
#pragma unroll 1
        for (int first = k_warp; first < partials.num; first += k_warp) {
            RowPartials others = partials;
            others.look_at(first);
            max = fmaxf(max, lse_of(others, first));
        }
#pragma unroll
        for (int mask = k_warp / 2; mask > 0; mask /= 2)
            max = fmaxf(max, __shfl_xor_sync(~0u, max, mask));
        weight = ptx::exp2_approx(weight - max);
        int first = 0, turn = 0;
#pragma unroll 1
        while (true) {
            add(values, weight, partials, first, turn);
            turn += batch;
            if (turn * warps >= k_warp) {
                turn = 0;
                first += k_warp;
                partials.look_at(first);
                weight = ptx::exp2_approx(lse_of(partials, first) - max);
            }
            if (first + turn * warps >= partials.num)
                break;
            load(values, partials, first, turn);
        }
    }

    // Of the warp's `turn`th partial of those in the lanes.
    __device__ __forceinline__ int place(int turn) const { return turn * warps + warp; }

    __device__ __forceinline__ void load(float (&values)[batch][lane_dims],
                                         const RowPartials& partials, int first, int turn) const {
        const float* from = call.work.partial_o + head * dim + lane * lane_dims;
        const int stride = call.num_q_heads * dim;
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const int32_t index = __shfl_sync(~0u, partials.index, place(turn + k));
            if (first + place(turn + k) < partials.num)
                load_dims(values[k], from + static_cast<int64_t>(index) * stride);
        }
    }

    // An empty partial's values mean nothing.
    __device__ __forceinline__ void add(const float (&values)[batch][lane_dims], float weight,
                                        const RowPartials& partials, int first, int turn) {
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const float w = __shfl_sync(~0u, weight, place(turn + k));
            if (first + place(turn + k) >= partials.num || !(w > 0))
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
