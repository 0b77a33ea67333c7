// Writes the rows of a tile whose output lies in the accumulator layout of softmax.cuh.
#pragma once

#include "impl/cuda/sm80/output.cuh"
#include "impl/cuda/sm80/softmax.cuh"

namespace relayattn::cuda {

// `row` is that of half 0 in the item's packed rows. Columns from `dim` on are padding.
template <class T, int dim, int step, int n>
__device__ __forceinline__ void store_tile(const KernelParams& p, const Item& item, int kv_head,
                                           int row, const TileSoftmax<step>& softmax,
                                           const float (&o)[n]) {
    static_assert(n >= dim / 2);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        const Row at = row_of(p, item, kv_head, row + h * 8);
        const RowResult result = softmax.finish(p, item, h, at.head);
        if (at.token < 0)
            continue;
        const int item_token = p.by_group.divide(row + h * 8);
        const int quarter = static_cast<int>(threadIdx.x) % 4;
        if (quarter == 0)
            store_lse(p.call, item, at, item_token, result.lse);
        const auto value = [&](int i, int k) { return o[i * 4 + h * 2 + k] * result.scale; };
        // Two loops, not one with a choice: the code is half as long for those who run it, once.
        if (item.partial >= 0) {
            auto* to = reinterpret_cast<float2*>(
                partial_row(p.call, item.partial + item_token, at.head) + quarter * 2);
#pragma unroll
            for (int i = 0; i < dim / 8; ++i)
                to[i * 4] = make_float2(value(i, 0), value(i, 1));
        } else {
            auto* to =
                reinterpret_cast<uint32_t*>(output_row<T>(p.call, at.token, at.head) + quarter * 2);
#pragma unroll
            for (int i = 0; i < dim / 8; ++i)
                to[i * 4] = ptx::pack<T>(value(i, 0), value(i, 1));
        }
    }
}

}  // namespace relayattn::cuda
