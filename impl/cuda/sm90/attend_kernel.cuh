// The kernels of one attend, each in its own launch and all at work at once (programmatic dependent
// launch): the relay kernel takes whole SMs (with up to 64 rows a part of them) for the items with
// many rows, which the tensor cores bind; small CTAs for the items with few rows, which memory
// binds, fill what is left and the SMs that fall free; then the finish.
#pragma once

#include "impl/cuda/sm80/append.cuh"
#include "impl/cuda/sm80/few_rows.cuh"
#include "impl/cuda/sm80/finish.cuh"
#include "impl/cuda/sm90/many_rows.cuh"

namespace relayattn::cuda::sm90 {

// A unit = item x KV head. The first item is loaded beside the counts, not after them.
template <class T, int head_dim, int consumers, bool whole>
__global__ void __launch_bounds__(ManyTile<head_dim, consumers>::threads, 1)
    relay_kernel(const __grid_constant__ KernelParams p, const __grid_constant__ CUtensorMap k_map,
                 const __grid_constant__ CUtensorMap v_map) {
    using Tile = ManyTile<head_dim, consumers>;
    extern __shared__ __align__(1024) char relay_smem[];
    auto& smem = *reinterpret_cast<Smem<Tile>*>(relay_smem);
    ptx::let_next_kernel_start();
    const int first = ptx::cta_index();
    const ItemStart first_item(p.call.work, min(p.by_kv_heads.divide(first), p.max_items - 1));
    const int units = p.call.work.counts->num_many * p.call.num_kv_heads;
    if (first >= units)
        return;
    if (threadIdx.x == 0) {
        ptx::prefetch_map(&k_map);
        ptx::prefetch_map(&v_map);
        for (int i = 0; i < Tile::stages; ++i) {
            ptx::init_barrier(&smem.full[i], 1);
            ptx::init_barrier(&smem.empty[i], consumers * k_group_threads / k_warp);
        }
        ptx::fence_barrier_init();
    }
    __syncthreads();
    const auto all_units = [&](auto& role) {
        ItemStart item = first_item;
        for (int unit = first; unit < units;) {
            const int kv_head = unit - p.by_kv_heads.divide(unit) * p.call.num_kv_heads;
            if constexpr (consumers > 1) {
                role.run(item, kv_head, 0);
            } else {
                for (int tile = 0; tile * k_group_rows < item.head.item.num_tokens * p.group;
                     ++tile)
                    role.run(item, kv_head, tile);
            }
            unit += gridDim.x;
            if (unit < units)
                item = ItemStart(p.call.work, p.by_kv_heads.divide(unit));
        }
    };
    // The consumers come first: warpgroup products want warps from a multiple of four on.
    if (threadIdx.x < Tile::consumer_threads) {
        if constexpr (consumers > 1)
            ptx::raise_registers<Tile::consumer_registers>();
        Consumer<T, head_dim, Tile, whole> consumer(p, smem);
        all_units(consumer);
        return;
    }
    if constexpr (consumers > 1)
        ptx::lower_registers<Tile::producer_registers>();
    if (threadIdx.x < Tile::consumer_threads + k_warp) {
        Producer<T, head_dim, Tile> producer(p, &k_map, &v_map, smem);
        all_units(producer);
    }
}

// A warp's ring, and warps on an SM: with so many small rings memory is kept busy.
template <int head_dim>
constexpr int few_tiles = head_dim == 64 ? 5 : 3;
template <int head_dim, int warps>
constexpr int few_ctas = (head_dim == 256 ? 8 : 16) / warps;

// Later CTAs find the work list's records in L2: under load a read from memory takes long.
template <int threads>
__device__ __forceinline__ void prefetch_records(const KernelParams& p) {
    const int record = blockIdx.x * threads + static_cast<int>(threadIdx.x);
    if (record < p.max_items)
        ptx::prefetch_l2(p.call.work.items + record);
}

// Small CTAs, one unit after the other.
template <class T, int head_dim, int warps>
__global__ void __launch_bounds__(warps* k_warp, few_ctas<head_dim, warps>)
    few_kernel(const __grid_constant__ KernelParams p) {
    extern __shared__ __align__(16) char few_smem[];
    prefetch_records<warps * k_warp>(p);
    for (int unit = blockIdx.x;; unit += gridDim.x) {
        const int offset = p.by_kv_heads.divide(unit);
        // The host's guess of where these items begin lets the first load start at once.
        int index = p.first_few + offset;
        ItemStart item(p.call.work, min(index, p.max_items - 1));
        const int first = p.call.work.counts->num_many;
        if (first != p.first_few) {
            index = first + offset;
            item = ItemStart(p.call.work, min(index, p.max_items - 1));
        }
        if (index >= p.call.work.counts->num_items)
            break;
        attend_few<T, head_dim, warps, few_tiles<head_dim>>(
            p, item, unit - offset * p.call.num_kv_heads, few_smem);
        __syncthreads();
    }
    // The finish waits for this kernel alone, so this kernel is not done before the relay is.
    if (blockIdx.x == gridDim.x - 1)
        ptx::wait_for_previous_kernel();
}

template <class T, int head_dim>
__global__ void __launch_bounds__(k_finish_warps* k_warp, finish_ctas<head_dim>)
    finish_kernel(const __grid_constant__ KernelParams p) {
    append_new_tokens<T, head_dim>(p);  // while the other kernels are at work
    finish_rows<T, head_dim>(p);
}

}  // namespace relayattn::cuda::sm90
