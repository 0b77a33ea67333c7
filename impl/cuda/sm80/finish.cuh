// The end of an attend: merges partials in their fixed order, adds sinks, clears padded rows.
//
// What a row costs is latency, so all its loads are under way at once: 1, 2, 4 or 8 warps share a
// row's partials, as many as it takes for that, and a warp asks for values before it knows their
// weights.
#pragma once

#include "impl/cuda/sm80/output.cuh"

namespace relayattn::cuda {

constexpr int k_finish_warps = 8;  // per CTA: small ones find room beside the other kernels'
constexpr int k_finish_ctas = 4;   // per SM, at most
template <int dim>
constexpr int finish_ctas = dim == 256 ? 3 : k_finish_ctas;  // that find registers

template <int dim>
constexpr int finish_batch = dim == 256 ? 3 : 5;  // values that a lane has in flight

// What the warps that share a row leave for each other.
template <int dim>
struct FinishSmem {
    alignas(16) float o[k_finish_warps][dim];
    float max[k_finish_warps], sum[k_finish_warps];
};
constexpr int k_finish_smem = sizeof(FinishSmem<256>);

// One query token and head, shared by a power of two of warps: of the row's partials, warp w takes
// every `warps`-th from w on. A lane holds dim / 32 dims.
template <class T, int dim>
struct FinishRow {
    static constexpr int lane_dims = dim / k_warp;
    static constexpr int batch = finish_batch<dim>;

    const AttendParams& call;
    const int warps;
    const int cta_warp, warp;  // this one in the CTA, and among those that share the row
    const int lane;
    const int32_t token;
    const int head;
    int32_t begin = 0, num = 0;  // the row's partials in partial_index
    int32_t partial = -1;        // the warp's partials, one a lane
    float o[lane_dims];
    float max = k_no_max, sum = 0;

    // Partials are known before what they name is written.
    __device__ __forceinline__ FinishRow(const KernelParams& p, int32_t of_token, int q_head,
                                         bool merged)
        : call(p.call),
          warps(1 << p.finish_row_shift),
          cta_warp(static_cast<int>(threadIdx.x) / k_warp),
          warp(cta_warp & (warps - 1)),
          lane(static_cast<int>(threadIdx.x) % k_warp),
          token(of_token),
          head(q_head) {
        if (!merged)
            return;
        begin = call.work.tokens[token].first_partial;
        num = call.work.tokens[token].num_partials;
        look_at(0);
    }

    __device__ __forceinline__ void look_at(int first) {
        const int at = first + lane * warps + warp;
        partial = at < num ? call.work.partial_index[begin + at] : -1;
    }

    __device__ __forceinline__ int64_t partial_row(int32_t index) const {
        return static_cast<int64_t>(static_cast<uint32_t>(index)) *
                   static_cast<uint32_t>(call.num_q_heads) +
               head;
    }

    // A rehearsal (not `real`) reads and writes nothing, and keeps the warp's first partials.
    __device__ __forceinline__ void merge(bool real) {
        max = k_no_max;
        sum = 0;
#pragma unroll
        for (int i = 0; i < lane_dims; ++i)
            o[i] = 0;
        int first = 0;
#pragma unroll 1
        while (true) {
            merge_lanes(real);
            first += k_warp * warps;
            if (first >= num || !real)
                break;
            look_at(first);
        }
    }

    // The first values are asked for before their weights are known.
    __device__ __forceinline__ void merge_lanes(bool real) {
        const int count = __popc(__ballot_sync(~0u, partial >= 0));
        float lse, values[batch][lane_dims];
        ptx::load_l2_if(real && partial >= 0, call.work.partial_lse + partial_row(partial), lse);
        load(values, 0, count, real);
        lse = real && partial >= 0 ? lse * k_log2e : -INFINITY;
        float top = fmaxf(max, lse);
#pragma unroll
        for (int mask = k_warp / 2; mask > 0; mask /= 2)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, mask));
        const float weight = ptx::exp2_approx(lse - top), shrink = ptx::exp2_approx(max - top);
        max = top;
        sum *= shrink;
#pragma unroll
        for (int i = 0; i < lane_dims; ++i)
            o[i] *= shrink;
        int at = 0;
#pragma unroll 1
        while (true) {
            add(values, at, count, weight);
            at += batch;
            if (at >= count)
                break;
            load(values, at, count, real);
        }
    }

    __device__ __forceinline__ void load(float (&values)[batch][lane_dims], int at, int count,
                                         bool real) const {
        const float* from = call.work.partial_o + lane * lane_dims;
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const int32_t index = __shfl_sync(~0u, partial, at + k);
            load_dims(real && at + k < count, from + partial_row(index) * dim, values[k]);
        }
    }

    static __device__ __forceinline__ void load_dims(bool wanted, const float* from,
                                                     float (&to)[lane_dims]) {
        constexpr int width = lane_dims % 4 == 0 ? 4 : lane_dims % 2 == 0 ? 2 : 1;
#pragma unroll
        for (int i = 0; i < lane_dims; i += width)
            ptx::load_l2_if(wanted, from + i, reinterpret_cast<float (&)[width]>(to[i]));
    }

    // A weight of 0: there is no partial, or it is empty and its values mean nothing.
    __device__ __forceinline__ void add(const float (&values)[batch][lane_dims], int at, int count,
                                        float weight) {
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const float of_lane = __shfl_sync(~0u, weight, at + k);
            const float w = at + k < count ? of_lane : 0;
            sum += w;
#pragma unroll
            for (int i = 0; i < lane_dims; ++i)
                o[i] = w > 0 ? o[i] + w * values[k][i] : o[i];
        }
    }

    // Adds up what the row's warps have, in their order, and writes the row, two dims a thread.
    __device__ __forceinline__ void join_and_store(FinishSmem<dim>& smem, int barrier_id,
                                                   bool with_sink, bool real) const {
#pragma unroll
        for (int i = 0; i < lane_dims; ++i)
            smem.o[cta_warp][lane * lane_dims + i] = o[i];
        if (lane == 0) {
            smem.max[cta_warp] = max;
            smem.sum[cta_warp] = sum;
        }
        const float sink =
            with_sink && call.sink_logits ? call.sink_logits[head] * k_log2e : -INFINITY;
        ptx::barrier(barrier_id, warps * k_warp);
        const int first = cta_warp - warp;
        float top = fmaxf(sink, k_no_max), factors[k_finish_warps];
#pragma unroll
        for (int w = 0; w < k_finish_warps; ++w) {
            factors[w] = w < warps ? smem.max[first + w] : -INFINITY;
            top = fmaxf(top, factors[w]);
        }
        float total = ptx::exp2_approx(sink - top);
#pragma unroll
        for (int w = 0; w < k_finish_warps; ++w) {
            factors[w] = ptx::exp2_approx(factors[w] - top);
            total += w < warps ? factors[w] * smem.sum[first + w] : 0;
        }
        const RowResult result = finish_row(top, total);
        auto* to = reinterpret_cast<uint32_t*>(output_row<T>(call, token, head));
#pragma unroll 1
        for (int pair = warp * k_warp + lane; pair < dim / 2; pair += warps * k_warp) {
            float x = 0, y = 0;
#pragma unroll
            for (int w = 0; w < k_finish_warps; ++w) {
                if (w < warps) {
                    x += factors[w] * smem.o[first + w][pair * 2];
                    y += factors[w] * smem.o[first + w][pair * 2 + 1];
                }
            }
            if (real)
                to[pair] = ptx::pack<T>(x * result.scale, y * result.scale);
        }
        if (real && warp == 0 && lane == 0 && call.lse)
            call.lse[token * call.lse_token_stride + head * call.lse_head_stride] = result.lse;
        ptx::barrier(barrier_id, warps * k_warp);
    }
};

// A kernel's whole body; each family has a kernel of its own, because its code is for other GPUs.
template <class T, int dim>
__device__ __forceinline__ void finish_rows(const KernelParams& p) {
    extern __shared__ __align__(16) char finish_smem[];
    auto& smem = *reinterpret_cast<FinishSmem<dim>*>(finish_smem);
    const WorkCounts& counts = *p.call.work.counts;
    const int row_in_cta = static_cast<int>(threadIdx.x) / k_warp >> p.finish_row_shift;
    const int cta_rows = k_finish_warps >> p.finish_row_shift;
    const int num_merged = counts.num_merged, num_tokens = counts.num_tokens;
    const int merged = num_merged * p.call.num_q_heads;
    const int rows = merged + counts.padded_tokens * p.call.num_q_heads;
    bool waited = false;
    for (int r = blockIdx.x * cta_rows + row_in_cta; r < rows; r += gridDim.x * cta_rows) {
        const int entry = p.by_q_heads.divide(r);
        const int32_t token = r < merged ? p.call.work.merged_tokens[entry]
                                         : num_tokens + entry - num_merged;  // a padded row
        FinishRow<T, dim> row(p, token, r - entry * p.call.num_q_heads, r < merged);
        // While the first row's partials are being written, its merge is rehearsed: the code is in
        // the instruction cache then, which costs microseconds after the wait.
#pragma unroll 1
        for (int pass = waited ? 1 : 0; pass < 2; ++pass) {
            const bool real = pass == 1;
            if (real && !waited) {
                ptx::wait_for_previous_kernel();
                waited = true;
            }
            row.merge(real);
            row.join_and_store(smem, 1 + row_in_cta, r < merged, real);
        }
    }
    if (!waited)
        ptx::wait_for_previous_kernel();
}

}  // namespace relayattn::cuda
