// Reductions over a warp, in an order that never changes.
#pragma once

namespace relayattn::cuda {

__device__ inline float warp_max(float value) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
    return value;
}

__device__ inline float warp_sum(float value) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

}  // namespace relayattn::cuda
