// Host side of the sm_90a kernels, for one dtype.
#pragma once

#include "impl/cuda/sm80/launch_support.cuh"
#include "impl/cuda/sm90/attend_kernel.cuh"
#include "impl/cuda/sm90/launch.h"
#include "impl/cuda/sm90/tensor_map.h"

namespace relayattn::cuda::sm90 {

template <class T, int head_dim>
void launch_attend(const KernelParams& p, const LaunchBounds& bounds, cudaStream_t stream) {
    static std::atomic<uint64_t> allowed{0};
    constexpr int bytes = sizeof(Smem<head_dim>);
    const auto kernel = attend_kernel<T, head_dim>;
    allow_smem(kernel, bytes, allowed);
    CUtensorMap k_map, v_map;
    if (!encode_pages(p.call, p.call.k_pages, &k_map) ||
        !encode_pages(p.call, p.call.v_pages, &v_map))
        return;
    kernel<<<bounds.num_sms, k_threads, bytes, stream>>>(p, k_map, v_map);
}

template <class T, int head_dim, int warps>
void launch_few(const KernelParams& p, int units, int num_sms, cudaStream_t stream) {
    static std::atomic<uint64_t> allowed{0};
    constexpr int bytes = warps * FewSmem<head_dim>::bytes;
    constexpr int max_waves = 64;  // bounds may be far above what a step has
    const auto kernel = few_kernel<T, head_dim, warps>;
    allow_smem(kernel, bytes, allowed);
    const int grid = std::min(units, num_sms * max_waves);
    kernel<<<grid, warps * k_warp, bytes, stream>>>(p);
}

template <class T, int head_dim>
void launch_finish_typed(const KernelParams& p, const LaunchBounds& bounds, cudaStream_t stream) {
    static std::atomic<uint64_t> allowed{0}, allowed_shared{0};
    const auto kernel = finish_kernel<T, head_dim, 1>;
    const auto shared = finish_kernel<T, head_dim, k_finish_strands>;
    allow_smem(kernel, k_finish_smem, allowed);
    allow_smem(shared, k_finish_smem, allowed_shared);
    launch_finish(kernel, shared, p, bounds, stream, true);
}

template <class T, int head_dim>
void launch_dim(const AttendParams& call, const LaunchBounds& bounds, cudaStream_t stream) {
    const KernelParams p = kernel_params(call, bounds);
    const int few_units = bounds.num_few * call.num_kv_heads;
    // Below so many units per SM, four warps to each keep more loads in flight.
    constexpr int units_per_sm_for_pairs = 3;
    const bool finishes = bounds.num_many > 0 || bounds.num_merged > 0 || bounds.padded_tokens > 0;
    if (bounds.num_many > 0)
        launch_attend<T, head_dim>(p, bounds, stream);
    else if (few_units > units_per_sm_for_pairs * bounds.num_sms)
        launch_few<T, head_dim, 2>(p, few_units, bounds.num_sms, stream);
    else if (few_units > 0)
        launch_few<T, head_dim, 4>(p, few_units, bounds.num_sms, stream);
    if (finishes)
        launch_finish_typed<T, head_dim>(p, bounds, stream);
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
