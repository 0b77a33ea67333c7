// The kernel of one attend on sm_80 and newer: CTAs take units (item x KV head) in turn, many-row
// items first, so that both kinds run side by side.
#pragma once

#include "impl/cuda/sm80/append.cuh"
#include "impl/cuda/sm80/finish.cuh"
#include "impl/cuda/sm80/many_rows.cuh"

namespace relayattn::cuda::sm80 {

template <int dim>
struct FewTile {
    static constexpr int warps = dim == 256 ? 2 : 4;  // as many as find shared memory everywhere
    static constexpr int tiles = dim == 64 ? 5 : 3;
    static constexpr int bytes = warps * FewSmem<dim, tiles>::bytes;
};

template <int dim>
constexpr int smem_bytes = std::max(ManyTile<dim>::bytes, FewTile<dim>::bytes);

template <class T, int dim>
__global__ void __launch_bounds__(k_threads) attend_kernel(const __grid_constant__ KernelParams p) {
    extern __shared__ __align__(16) char unit_smem[];
    const WorkCounts& counts = *p.call.work.counts;
    using Few = FewTile<dim>;
    const int units = counts.num_items * p.call.num_kv_heads;
    for (int unit = blockIdx.x; unit < units; unit += gridDim.x) {
        const int index = p.by_kv_heads.divide(unit);
        const int kv_head = unit - index * p.call.num_kv_heads;
        const ItemStart item(p.call.work, index);
        if (index < counts.num_many)
            ManyRows<T, dim>(p, item.head, kv_head, unit_smem).run();
        else if (threadIdx.x < Few::warps * k_warp)
            attend_few<T, dim, Few::warps, Few::tiles>(p, item, kv_head, unit_smem);
        __syncthreads();
    }
    append_new_tokens<T, dim>(p);
}

template <class T, int dim>
__global__ void __launch_bounds__(k_finish_warps* k_warp, finish_ctas<dim>)
    finish_kernel(const __grid_constant__ KernelParams p) {
    finish_rows<T, dim>(p);
}

}  // namespace relayattn::cuda::sm80
