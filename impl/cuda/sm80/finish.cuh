// The end of an attend: merges partials in their fixed order, adds sinks, clears padded rows.
//
// A row's partials form 8 strands (every 8th), each added up in order, and the strands are added as
// a balanced tree: one warp may do all of it, or 8 warps a strand each, with the same result to the
// last bit.
#pragma once

#include "impl/cuda/sm80/output.cuh"

namespace relayattn::cuda {

constexpr int k_finish_warps = 8;  // per CTA: small ones find room beside the other kernels'
constexpr int k_finish_strands = 8;
constexpr int k_finish_ctas = 2;  // per SM
constexpr int k_finish_smem = k_finish_warps * (256 + 1) * static_cast<int>(sizeof(float));

// The partials of a row, the first 32 in the lanes. They are known before what they name is
// written.
struct RowPartials {
    const int32_t* indexes = nullptr;
    int32_t num = 0, index = 0;

    __device__ __forceinline__ RowPartials() {}
    __device__ __forceinline__ RowPartials(const DeviceWork& work, int32_t token) {
        const QueryToken row = work.tokens[token];
        const int lane = threadIdx.x % 32;
        indexes = work.partial_index + row.first_partial;
        num = row.num_partials;
        index = lane < num ? indexes[lane] : 0;
    }
};

// One query token and head. `warps` warps share it, 1 or 8; a lane holds dim / 32 dims.
template <class T, int dim, int warps>
struct FinishRow {
    static constexpr int lane_dims = dim / 32;
    static constexpr int own_strands = k_finish_strands / warps;

    const AttendParams& call;
    const int lane, warp;  // warp: among those of the row
    const int head;
    float o[own_strands][lane_dims];
    float sum[own_strands];
    float max = k_no_max;

    __device__ __forceinline__ FinishRow(const AttendParams& c, int warp_in_row, int q_head)
        : call(c), lane(threadIdx.x % 32), warp(warp_in_row), head(q_head) {
#pragma unroll
        for (int s = 0; s < own_strands; ++s) {
            sum[s] = 0;
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                o[s][i] = 0;
        }
    }

    __device__ __forceinline__ float lse_of(int32_t partial) const {
        return __ldcg(call.work.partial_lse + static_cast<int64_t>(partial) * call.num_q_heads +
                      head) *
               k_log2e;
    }

    __device__ __forceinline__ void merge(const RowPartials& partials) {
        const int32_t* indexes = partials.indexes;
        const int num = partials.num;
        int32_t index = partials.index;
        const float lse = lane < num ? lse_of(index) : -INFINITY;
        max = fmaxf(max, lse);
        for (int i = lane + 32; i < num; i += 32)
            max = fmaxf(max, lse_of(indexes[i]));
#pragma unroll
        for (int mask = 16; mask > 0; mask /= 2)
            max = fmaxf(max, __shfl_xor_sync(~0u, max, mask));
        add(index, ptx::exp2_approx(lse - max), min(num, 32));
        for (int done = 32; done < num; done += 32) {
            const bool mine = done + lane < num;
            index = mine ? indexes[done + lane] : 0;
            add(index, mine ? ptx::exp2_approx(lse_of(index) - max) : 0.0f, min(num - done, 32));
        }
    }

    // Up to 32 partials, one index and weight per lane: four of each strand.
    __device__ __forceinline__ void add(int32_t index, float weight, int count) {
        constexpr int turns = 32 / warps;
        constexpr int batch = warps > 1 ? 4 : dim == 256 ? 2 : 8;  // loads in flight at once
#pragma unroll
        for (int first = 0; first < turns; first += batch) {
            if (place(first) >= count)
                break;
            float part[batch][lane_dims];
#pragma unroll
            for (int k = 0; k < batch; ++k) {
                const int from = place(first + k);
                if (from < count)
                    load(part[k],
                         partial_row(call, __shfl_sync(~0u, index, from), head) + lane * lane_dims);
            }
#pragma unroll
            for (int k = 0; k < batch; ++k) {
                const int from = place(first + k);
                if (from < count)
                    add_to((first + k) % own_strands, __shfl_sync(~0u, weight, from), part[k]);
            }
        }
    }

    // The partial, of 32, that the warp adds at a turn: strand by strand where all are its own.
    __device__ __forceinline__ int place(int turn) const {
        return warps == 1 ? turn : turn * k_finish_strands + warp;
    }

    __device__ __forceinline__ void add_to(int strand, float weight,
                                           const float (&part)[lane_dims]) {
        sum[strand] += weight;
#pragma unroll
        for (int i = 0; i < lane_dims; ++i)
            o[strand][i] += weight > 0 ? weight * part[i] : 0.0f;
    }

    static __device__ __forceinline__ void load(float (&to)[lane_dims], const float* from) {
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

    // ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), into strand 0.
    __device__ __forceinline__ void join_own() {
#pragma unroll
        for (int step = 1; step < own_strands; step *= 2) {
#pragma unroll
            for (int s = 0; s < own_strands; s += 2 * step) {
                sum[s] += sum[s + step];
#pragma unroll
                for (int i = 0; i < lane_dims; ++i)
                    o[s][i] += o[s + step][i];
            }
        }
    }

    // The same tree over the warps' strands; the result is warp 0's. `exchange` holds a strand's
    // dims and then its sum, per warp.
    __device__ __forceinline__ void join_warps(float* exchange, int barrier_id) {
        constexpr int row = dim + 1;
#pragma unroll
        for (int i = 0; i < lane_dims; ++i)
            exchange[warp * row + i * 32 + lane] = o[0][i];
        if (lane == 0)
            exchange[warp * row + dim] = sum[0];
        ptx::barrier(barrier_id, warps * 32);
        if (warp == 0) {
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                o[0][i] = tree_sum(exchange + i * 32 + lane, row);
            sum[0] = tree_sum(exchange + dim, row);
        }
        ptx::barrier(barrier_id, warps * 32);
    }

    static __device__ __forceinline__ float tree_sum(const float* x, int row) {
        return ((x[0] + x[row]) + (x[2 * row] + x[3 * row])) +
               ((x[4 * row] + x[5 * row]) + (x[6 * row] + x[7 * row]));
    }

    __device__ __forceinline__ void store(int32_t token, bool with_sink) {
        float scale = 1, total = sum[0];
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
                    ptx::pack<T>(o[0][i] * scale, o[0][i + 1] * scale);
        } else {
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                to[i] = T(o[0][i] * scale);
        }
        if (lane == 0 && call.lse)
            call.lse[token * call.lse_token_stride + head * call.lse_head_stride] = result.lse;
    }
};

// A kernel's whole body; each family has a kernel of its own, because its code is for other GPUs.
template <class T, int dim, int warps>
__device__ __forceinline__ void finish_rows(const KernelParams& p) {
    extern __shared__ __align__(16) float exchange[];
    constexpr int cta_rows = k_finish_warps / warps;
    const AttendParams& call = p.call;
    const int group = threadIdx.x / (32 * warps);
    const int num_merged = call.work.counts->num_merged;
    const int merged = num_merged * call.num_q_heads;
    const int rows = merged + call.work.counts->padded_tokens * call.num_q_heads;
    bool waited = false;
    for (int r = blockIdx.x * cta_rows + group; r < rows; r += gridDim.x * cta_rows) {
        const int entry = r / call.num_q_heads;
        int32_t token = call.work.counts->num_tokens + entry - num_merged;  // a padded row
        RowPartials partials;
        if (r < merged) {
            token = call.work.merged_tokens[entry];
            partials = RowPartials(call.work, token);
        }
        // While the first row's partials are being written, its merge is rehearsed on what lies
        // there: the code is in the instruction cache then, which costs microseconds after the
        // wait.
#pragma unroll 1
        for (int pass = waited ? 1 : 0; pass < 2; ++pass) {
            if (pass == 1 && !waited) {
                ptx::wait_for_previous_kernel();
                waited = true;
            }
            FinishRow<T, dim, warps> row(call, threadIdx.x / 32 % warps,
                                         r - entry * call.num_q_heads);
            row.merge(partials);
            row.join_own();
            if constexpr (warps > 1)
                row.join_warps(exchange + group * warps * (dim + 1), 1 + group);
            if (pass == 1 && row.warp == 0)
                row.store(token, r < merged);
        }
    }
    if (!waited)
        ptx::wait_for_previous_kernel();
}

}  // namespace relayattn::cuda
