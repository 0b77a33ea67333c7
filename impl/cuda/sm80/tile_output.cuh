// Writes the rows of a tile whose output lies in the accumulator layout of softmax.cuh.
//
// There a warp's pairs of values lie in 8 rows at a time, and storing them as they are would touch
// 8 lines with every instruction. So a warp turns 8 rows in shared memory and writes them whole.
#pragma once

#include "impl/cuda/sm80/output.cuh"
#include "impl/cuda/sm80/softmax.cuh"

namespace relayattn::cuda {

// Of a row of padding; still negative at the row's end.
constexpr int64_t k_no_offset = INT64_MIN;

// 8 rows of a warp's shared memory, and where they go. The padding makes the pairs of 4 rows, which
// are written at once, lie in different banks.
template <int dim>
struct TurnedRows {
    static constexpr int quads = dim / 4;
    static constexpr int batch = 8;  // quads of a lane on their way

    struct alignas(32) Row {
        float4 o[quads];
        int64_t offset[2];  // for each half, in elements; negative: nowhere
    };
    Row rows[8];

    // store(offset, x): a quad of a row. All loads come first: what this costs is latency.
    template <class Store>
    __device__ __forceinline__ void store_all(int half, Store store) const {
        const int lane = static_cast<int>(threadIdx.x) % k_warp;
        constexpr int turns = 8 * quads / k_warp;
#pragma unroll
        for (int first = 0; first < turns; first += batch) {
            float4 x[batch];
            int64_t offset[batch];
#pragma unroll
            for (int i = 0; i < batch && first + i < turns; ++i) {
                const int at = lane + (first + i) * k_warp;
                const Row& row = rows[at / quads];
                x[i] = row.o[at % quads];
                offset[i] = row.offset[half] + at % quads * 4;
            }
#pragma unroll
            for (int i = 0; i < batch && first + i < turns; ++i) {
                if (offset[i] >= 0)
                    store(offset[i], x[i]);
            }
        }
    }
};

// `row` is that of half 0 in the item's packed rows. Columns from `dim` on are padding. `turned` is
// the warp's own.
template <class T, int dim, int step, int n>
__device__ __forceinline__ void store_tile(const KernelParams& p, const Item& item, int kv_head,
                                           int row, const TileSoftmax<step>& softmax,
                                           const float (&o)[n], TurnedRows<dim>& turned) {
    static_assert(n >= dim / 2);
    const int lane = static_cast<int>(threadIdx.x) % k_warp;
    auto& turned_row = turned.rows[lane / 4];
    auto* const pairs = reinterpret_cast<float2*>(turned_row.o) + lane % 4;
    // The lanes that share rows see to one half each.
    const int half = lane % 2, half_row = row + half * 8;
    const Row at = row_of(p, item, kv_head, half_row);
    const RowResult result = softmax.finish(p, item, half, at.head);
    if (lane % 4 < 2) {
        const int item_token = p.by_group.divide(half_row);
        turned_row.offset[half] = at.token < 0 ? k_no_offset
                                  : item.partial >= 0
                                      ? partial_offset(p.call, item.partial + item_token, at.head)
                                      : output_offset(p.call, at.token, at.head);
        if (at.token >= 0)
            store_lse(p.call, item, at, item_token, result.lse);
    }
    const float scale[2] = {__shfl_sync(~0u, result.scale, lane & ~1),
                            __shfl_sync(~0u, result.scale, lane | 1)};
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        __syncwarp();
#pragma unroll
        for (int i = 0; i < dim / 8; ++i)
            pairs[i * 4] =
                make_float2(o[i * 4 + h * 2] * scale[h], o[i * 4 + h * 2 + 1] * scale[h]);
        __syncwarp();
        // Two loops, not one with a choice: the code is half as long for those who run it, once.
        if (item.partial >= 0) {
            turned.store_all(h, [&](int64_t to, const float4& x) {
                *reinterpret_cast<float4*>(p.call.work.partial_o + to) = x;
            });
        } else {
            turned.store_all(h, [&](int64_t to, const float4& x) {
                *reinterpret_cast<uint2*>(static_cast<T*>(p.call.out.data) + to) =
                    make_uint2(ptx::pack<T>(x.x, x.y), ptx::pack<T>(x.z, x.w));
            });
        }
    }
}

}  // namespace relayattn::cuda
