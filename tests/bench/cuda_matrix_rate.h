// What cuBLAS reaches on this GPU, the matrix side of the floor.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace relayattn::bench {

inline void must(cudaError_t status) {
    if (status != cudaSuccess)
        throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

// Flops per second of a square product in the dtype (RA_*), the best of a few; float32 without
// TF32. Loads cuBLAS when first called, so that the program starts where there is none.
double matrix_rate(int32_t dtype, cudaStream_t stream);

}  // namespace relayattn::bench
