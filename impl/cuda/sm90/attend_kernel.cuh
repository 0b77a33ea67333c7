// The kernels of one attend. With many-row items: one CTA per SM; the first CTAs take those items
// (copy engine and warpgroup products), all others, and these when done, draw few-row items, so
// that the matrix-bound and the memory-bound half of a step run side by side. Without: small CTAs,
// one unit (item x KV head) after the other.
#pragma once

#include "impl/cuda/sm80/finish.cuh"
#include "impl/cuda/sm90/many_rows.cuh"

namespace relayattn::cuda::sm90 {

__device__ __forceinline__ int many_units(const KernelParams& p) {
    return p.call.work.counts->num_many * p.call.num_kv_heads;
}

template <class T, int head_dim>
__device__ __forceinline__ void attend_many_units(const KernelParams& p, const CUtensorMap* k_map,
                                                  const CUtensorMap* v_map, Smem<head_dim>& smem) {
    // Of all threads, though in two places: each side does its part of handing registers over.
    const auto meet = [] { ptx::barrier(k_roles_barrier, k_threads); };
    if (threadIdx.x < k_group_threads) {
        ptx::lower_registers<k_producer_registers>();
        if (threadIdx.x < k_warp) {
            Producer<T, head_dim> producer(p, k_map, v_map, smem);
            for (int unit = ptx::cta_index(); unit < many_units(p); unit += gridDim.x) {
                const int item = p.by_kv_heads.divide(unit);
                producer.run(load_now(p.call.work.items + item), unit - item * p.call.num_kv_heads);
            }
        }
        __syncwarp();
        // Parked until the consumers have given their registers back: an attempt to take them
        // earlier would spin.
        meet();
        ptx::raise_registers<k_even_registers>();
    } else {
        ptx::raise_registers<k_consumer_registers>();
        Consumer<T, head_dim> consumer(p, smem);
        for (int unit = ptx::cta_index(); unit < many_units(p); unit += gridDim.x) {
            const int item = p.by_kv_heads.divide(unit);
            consumer.run(load_now(p.call.work.items + item), unit - item * p.call.num_kv_heads);
        }
        __syncwarp();
        ptx::lower_registers<k_even_registers>();
        meet();
    }
}

// The few-row units, from `first` on: CTAs without many-row work begin with a fixed share, one unit
// to each before any has two; what is left is drawn.
template <class T, int head_dim>
__device__ __forceinline__ void attend_few_units(const KernelParams& p, Smem<head_dim>& smem) {
    using Few = FewTile<head_dim>;
    constexpr int group_threads = Few::warps * k_warp;
    const int group = threadIdx.x / group_threads;
    if (group >= Few::groups)
        return;
    const int first = many_units(p);
    const int end = p.call.work.counts->num_items * p.call.num_kv_heads;
    const int busy = min(first, static_cast<int>(gridDim.x));
    const int free = static_cast<int>(gridDim.x) - busy;
    const int drawn_from = first + Few::groups * free;
    int32_t* drawn = &smem.drawn[group];
    const bool draws = threadIdx.x % group_threads == 0;
    const auto draw = [&] {
        if (draws)
            *drawn = drawn_from + atomicAdd(next_few(p.call.work), 1);
    };
    int unit = first + group * free + ptx::cta_index() - busy;
    if (ptx::cta_index() < busy) {
        draw();
        ptx::barrier(1 + group, group_threads);
        unit = *drawn;
    }
    while (unit < end) {
        const int index = p.by_kv_heads.divide(unit);
        const Item item = load_now(p.call.work.items + index);
        attend_few<T, head_dim, Few::warps>(p, item, unit - index * p.call.num_kv_heads,
                                            smem.few.groups[group], 1 + group, draw);
        unit = *drawn;
        ptx::barrier(1 + group, group_threads);
    }
}

template <class T, int head_dim>
__global__ void __launch_bounds__(k_threads, 1)
    attend_kernel(const __grid_constant__ KernelParams p, const __grid_constant__ CUtensorMap k_map,
                  const __grid_constant__ CUtensorMap v_map) {
    extern __shared__ __align__(Smem<head_dim>::alignment) char attend_smem[];
    auto& smem = *reinterpret_cast<Smem<head_dim>*>(attend_smem);
    ptx::let_next_kernel_start();
    if (ptx::cta_index() < many_units(p)) {
        if (threadIdx.x == 0) {
            ptx::prefetch_map(&k_map);
            ptx::prefetch_map(&v_map);
            for (int i = 0; i < ManyTile<head_dim>::stages; ++i) {
                ptx::init_barrier(&smem.full[i], 1);
                ptx::init_barrier(&smem.empty[i], k_consumers * k_group_threads / k_warp);
            }
            ptx::fence_barrier_init();
        }
        __syncthreads();
        attend_many_units<T, head_dim>(p, &k_map, &v_map, smem);
    }
    attend_few_units<T, head_dim>(p, smem);
}

// Only few-row items: the host's bound says that there are no others, now or later.
template <class T, int head_dim, int warps>
__global__ void __launch_bounds__(warps* k_warp, 12 / warps)
    few_kernel(const __grid_constant__ KernelParams p) {
    extern __shared__ __align__(16) char few_smem[];
    ptx::let_next_kernel_start();
    for (int unit = blockIdx.x;; unit += gridDim.x) {
        const int index = p.by_kv_heads.divide(unit);
        if (index >= p.max_items)
            return;
        const Item item = load_now(p.call.work.items + index);
        // Not "||": the item's load must not wait for the count's.
        if ((index >= p.call.work.counts->num_items) | (item.num_tokens < 0) |
            (item.num_pieces < 0))
            return;
        attend_few<T, head_dim, warps>(p, item, unit - index * p.call.num_kv_heads, few_smem, 1,
                                       [] {});
        __syncthreads();
    }
}

template <class T, int head_dim, int warps>
__global__ void __launch_bounds__(k_finish_warps* k_warp, 1)
    finish_kernel(const __grid_constant__ KernelParams p) {
    finish_rows<T, head_dim, warps>(p);
}

}  // namespace relayattn::cuda::sm90
