// Host side of the sm_90a kernels, for one dtype.
#pragma once

#include "impl/cuda/sm80/launch_support.cuh"
#include "impl/cuda/sm90/attend_kernel.cuh"
#include "impl/cuda/sm90/launch.h"
#include "impl/cuda/sm90/tensor_map.h"

namespace relayattn::cuda::sm90 {

template <class T, int head_dim, int consumers, bool whole>
void launch_relay(const KernelParams& p, const LaunchBounds& bounds, cudaStream_t stream) {
    static std::atomic<uint64_t> allowed{0};
    using Tile = ManyTile<head_dim, consumers>;
    constexpr int bytes = sizeof(Smem<Tile>);
    const auto kernel = relay_kernel<T, head_dim, consumers, whole>;
    allow_smem(kernel, bytes, allowed);
    CUtensorMap k_map, v_map;
    if (!encode_pages(p.call, p.call.k_pages, &k_map) ||
        !encode_pages(p.call, p.call.v_pages, &v_map))
        return;
    // A later step of a graph may have more units, at some cost: many idle CTAs would cost every
    // step, for the busy ones then crowd on neighbouring SMs.
    const int units =
        std::max(bounds.num_many * p.call.num_kv_heads, bounds.replayed ? bounds.num_sms / 2 : 0);
    const int grid = std::min(units, bounds.num_sms);
    kernel<<<grid, Tile::threads, bytes, stream>>>(p, k_map, v_map);
}

constexpr int k_sm_smem = 227 * 1024;  // shared memory of an SM's CTAs, without
constexpr int k_cta_smem = 1024;       // what the system takes for each

// Soft-cap, ALiBi, odd scales and tree masks are in the larger relay kernel alone.
inline bool needs_whole(const KernelParams& p, const LaunchBounds& bounds) {
    return p.transforms || bounds.tree;
}

enum class Relay { none, part_of_sm, whole_sm };

// With up to one warpgroup's rows, and nothing that is only in the larger kernel, a relay CTA
// leaves a part of its SM.
inline Relay relay_of(const KernelParams& p, const LaunchBounds& bounds) {
    if (!bounds.may_relay())
        return Relay::none;
    return bounds.many_rows <= k_group_rows && !needs_whole(p, bounds) ? Relay::part_of_sm
                                                                       : Relay::whole_sm;
}

// The SMs' shared memory is shared out evenly among the few-row CTAs that may start beside the
// relay: else the first SMs with room would take them all.
template <int head_dim>
int few_smem_bytes(const KernelParams& p, const LaunchBounds& bounds, Relay relay, int units) {
    constexpr int relay_bytes = sizeof(Smem<ManyTile<head_dim, 1>>) + k_cta_smem;
    if (relay == Relay::none)
        return 0;
    int sms = bounds.num_sms, room = k_sm_smem;
    if (relay == Relay::whole_sm)
        sms -= std::min(bounds.num_many * p.call.num_kv_heads, sms / 2);
    else if (bounds.num_many > 0)
        room -= relay_bytes;
    return room / std::max((units + sms - 1) / sms, 1) - k_cta_smem;
}

template <class T, int head_dim, int warps>
void launch_few(const KernelParams& p, const LaunchBounds& bounds, Relay relay,
                cudaStream_t stream) {
    static std::atomic<uint64_t> allowed{0};
    constexpr int bytes = warps * FewSmem<head_dim, few_tiles<head_dim>>::bytes;
    constexpr int max_waves = 64;
    const auto kernel = few_kernel<T, head_dim, warps>;
    allow_smem(kernel, k_sm_smem, allowed);
    // CTAs without work take their turn on the SMs, too, before the finish can start: a graph gets
    // no more than its largest step may fill.
    const int64_t kv_heads = p.call.num_kv_heads, most = int64_t{bounds.num_sms} * max_waves;
    int64_t units = bounds.num_few * kv_heads, grid = units;
    if (bounds.replayed) {
        units = std::max(units, bounds.num_tokens * kv_heads);
        grid = std::max<int64_t>(
            grid, std::min<int64_t>(units, bounds.num_sms * few_ctas<head_dim, warps>));
    }
    const int smem =
        few_smem_bytes<head_dim>(p, bounds, relay, static_cast<int>(std::min(units, most)));
    launch_after(kernel, std::min(grid, most), warps * k_warp, std::max(bytes, smem), stream,
                 relay != Relay::none, p);
}

template <class T, int head_dim>
void launch_dim(const AttendParams& call, const LaunchBounds& bounds, cudaStream_t stream) {
    const KernelParams p = kernel_params(call, bounds);
    // Below so many units per SM, four warps to each keep more loads in flight.
    constexpr int units_per_sm_for_pairs = 6;
    const int few_units = bounds.num_few * call.num_kv_heads;
    const Relay relay = relay_of(p, bounds);
    if (relay == Relay::part_of_sm)
        launch_relay<T, head_dim, 1, false>(p, bounds, stream);
    else if (relay == Relay::whole_sm && !needs_whole(p, bounds))
        launch_relay<T, head_dim, 2, false>(p, bounds, stream);
    else if (relay == Relay::whole_sm)
        launch_relay<T, head_dim, 2, true>(p, bounds, stream);
    if (few_units > units_per_sm_for_pairs * bounds.num_sms)
        launch_few<T, head_dim, 2>(p, bounds, relay, stream);
    else if (few_units > 0 || bounds.replayed)
        launch_few<T, head_dim, 4>(p, bounds, relay, stream);
    if (bounds.replayed || bounds.num_merged > 0 || bounds.padded_tokens > 0 || p.call.k.data)
        launch_finish<head_dim>(finish_kernel<T, head_dim>, p, bounds, stream, true);
}

template <class T>
void launch_typed(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream) {
    switch (params.head_dim_k) {
        case 64:
            return launch_dim<T, 64>(params, bounds, stream);
        case 96:
            return launch_dim<T, 96>(params, bounds, stream);
        case 128:
            return launch_dim<T, 128>(params, bounds, stream);
        default:
            return launch_dim<T, 256>(params, bounds, stream);
    }
}

}  // namespace relayattn::cuda::sm90
