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

// `dependent`: programmatic dependent launch, for sm_90 and newer: the kernel may start when all
// CTAs of the one before it have.
inline void launch_after(void (*kernel)(KernelParams), int64_t grid, int threads, int smem_bytes,
                         cudaStream_t stream, bool dependent, const KernelParams& p) {
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(grid));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = static_cast<size_t>(smem_bytes);
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = dependent ? 1 : 0;
    cudaLaunchKernelEx(&config, kernel, p);
}

using FinishKernel = void (*)(KernelParams);

// `shared`: 8 warps to a row, for steps with few rows.
inline void launch_finish(FinishKernel kernel, FinishKernel shared, const KernelParams& p,
                          const LaunchBounds& bounds, cudaStream_t stream, bool dependent) {
    const int64_t rows = int64_t{bounds.num_merged + bounds.padded_tokens} * p.call.num_q_heads;
    const int64_t slots = int64_t{bounds.num_sms} * k_finish_ctas;
    const bool few_rows = rows <= slots * 2;
    const int64_t rows_per_cta = few_rows ? k_finish_warps / k_finish_strands : k_finish_warps;
    const int64_t grid = std::clamp<int64_t>((rows + rows_per_cta - 1) / rows_per_cta, 1, slots);
    launch_after(few_rows ? shared : kernel, grid, k_finish_warps * k_warp, k_finish_smem, stream,
                 dependent, p);
}

}  // namespace relayattn::cuda
