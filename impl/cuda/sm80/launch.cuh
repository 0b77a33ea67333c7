// Host side of the sm_80 kernels, for one dtype.
#pragma once

#include "impl/cuda/sm80/attend_kernel.cuh"
#include "impl/cuda/sm80/launch.h"
#include "impl/cuda/sm80/launch_support.cuh"

namespace relayattn::cuda::sm80 {

template <class T, int dim>
void launch_dim(const AttendParams& call, const LaunchBounds& bounds, cudaStream_t stream) {
    static std::atomic<uint64_t> allowed{0};
    constexpr int ctas_per_sm = 2;
    const KernelParams p = kernel_params(call, bounds);
    const int units = bounds.most_items() * call.num_kv_heads;
    const auto kernel = attend_kernel<T, dim>;
    allow_smem(kernel, smem_bytes<dim>, allowed);
    if (units > 0)
        kernel<<<std::min(units, bounds.num_sms * ctas_per_sm), k_threads, smem_bytes<dim>,
                 stream>>>(p);
    if (bounds.replayed || bounds.num_merged > 0 || bounds.padded_tokens > 0)
        launch_finish<dim>(finish_kernel<T, dim>, p, bounds, stream, false);
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

}  // namespace relayattn::cuda::sm80
