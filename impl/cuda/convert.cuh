// Elements of any dtype as floats. The dtype is a run-time value: it is the same for a whole
// launch, and these kernels are bound by memory.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "impl/core/layer.h"

namespace relayattn::cuda {

__device__ inline float load_float(const void* data, int64_t index, Dtype dtype) {
    switch (dtype) {
        case Dtype::f16:
            return __half2float(static_cast<const __half*>(data)[index]);
        case Dtype::bf16:
            return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[index]);
        default:
            return static_cast<const float*>(data)[index];
    }
}

__device__ inline void store_float(void* data, int64_t index, float value, Dtype dtype) {
    switch (dtype) {
        case Dtype::f16:
            static_cast<__half*>(data)[index] = __float2half_rn(value);
            break;
        case Dtype::bf16:
            static_cast<__nv_bfloat16*>(data)[index] = __float2bfloat16_rn(value);
            break;
        default:
            static_cast<float*>(data)[index] = value;
    }
}

struct Float8 {
    float4 low, high;
};

__device__ inline float2 unpack(uint32_t pair, Dtype dtype) {
    if (dtype == Dtype::f16) {
        __half2 halves;
        memcpy(&halves, &pair, sizeof halves);
        return __half22float2(halves);
    }
    return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
}

// Eight elements from `index` on; `aligned` says that they start at a multiple of 16 bytes.
__device__ inline Float8 load_eight(const void* data, int64_t index, Dtype dtype, bool aligned) {
    if (!aligned) {
        const auto at = [&](int i) { return load_float(data, index + i, dtype); };
        return {{at(0), at(1), at(2), at(3)}, {at(4), at(5), at(6), at(7)}};
    }
    if (dtype == Dtype::f32) {
        const auto* from = reinterpret_cast<const float4*>(static_cast<const float*>(data) + index);
        return {from[0], from[1]};
    }
    const uint4 raw = *reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(data) + index);
    const float2 a = unpack(raw.x, dtype), b = unpack(raw.y, dtype);
    const float2 c = unpack(raw.z, dtype), d = unpack(raw.w, dtype);
    return {{a.x, a.y, b.x, b.y}, {c.x, c.y, d.x, d.y}};
}

}  // namespace relayattn::cuda
