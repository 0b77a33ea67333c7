// Host side that the kernel families share: limits of shared memory, and the launch of the finish.
#pragma once

#include <algorithm>
#include <atomic>

#include "impl/cuda/sm80/finish.cuh"

namespace relayattn::cuda {

// Raises a kernel's shared-memory limit once on each device.
template <class Kernel>
void allow_smem(Kernel kernel, int bytes, std::atomic<uint64_t>& done) {
    int device = 0;
    cudaGetDevice(&device);
    const uint64_t bit = uint64_t{1} << (device % 64);
    if (done.load(std::memory_order_relaxed) & bit)
        return;
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                         cudaSharedmemCarveoutMaxShared);
    done.fetch_or(bit, std::memory_order_relaxed);
}

using FinishKernel = void (*)(KernelParams);

// `shared`: 8 warps to a row, for steps with few rows. `dependent`: programmatic dependent launch,
// for sm_90 and newer.
inline void launch_finish(FinishKernel kernel, FinishKernel shared, const KernelParams& p,
                          const LaunchBounds& bounds, cudaStream_t stream, bool dependent) {
    const int64_t rows = int64_t{bounds.num_merged + bounds.padded_tokens} * p.call.num_q_heads;
    const int64_t slots = int64_t{bounds.num_sms} * k_finish_ctas;
    const bool few_rows = rows * k_finish_strands <= slots * k_finish_warps;
    const int64_t rows_per_cta = few_rows ? k_finish_warps / k_finish_strands : k_finish_warps;
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(
        std::clamp<int64_t>((rows + rows_per_cta - 1) / rows_per_cta, 1, slots)));
    config.blockDim = dim3(k_finish_warps * k_warp);
    config.dynamicSmemBytes = k_finish_smem;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = dependent ? 1 : 0;
    cudaLaunchKernelEx(&config, few_rows ? shared : kernel, p);
}

}  // namespace relayattn::cuda
