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

// Warps for all partials of a row at once, if the GPU has room for so many.
template <int dim>
void launch_finish(void (*kernel)(KernelParams), KernelParams p, const LaunchBounds& bounds,
                   cudaStream_t stream, bool dependent) {
    const int64_t rows = int64_t{bounds.num_merged + bounds.padded_tokens} * p.call.num_q_heads;
    const int64_t slots = int64_t{bounds.num_sms} * k_finish_ctas;
    const auto serves_more = [&](int64_t warps) {
        return warps < k_finish_warps && rows * warps < slots * k_finish_warps / 2 &&
               bounds.num_merged * warps * finish_batch<dim> < bounds.merged_partials;
    };
    while (serves_more(int64_t{1} << p.finish_row_shift))
        ++p.finish_row_shift;
    const int64_t row_threads = (rows << p.finish_row_shift) * k_warp;
    const int64_t append_threads =
        p.call.k.data ? int64_t{bounds.num_tokens} * p.call.num_kv_heads * p.call.head_dim_k / 8
                      : 0;
    const int64_t ctas = std::max(row_threads, append_threads) / (k_finish_warps * k_warp) + 1;
    const int64_t grid = std::clamp<int64_t>(ctas, bounds.replayed ? bounds.num_sms : 1, slots);
    launch_after(kernel, grid, k_finish_warps * k_warp, k_finish_smem, stream, dependent, p);
}

}  // namespace relayattn::cuda
