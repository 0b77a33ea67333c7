// Where the rows of an item go: the output, or a float32 partial that the finish merges.
#pragma once

#include "impl/cuda/sm80/scores.cuh"

namespace relayattn::cuda {

// In elements.
__device__ __forceinline__ int64_t partial_offset(const AttendParams& call, int32_t partial,
                                                  int head) {
    return (static_cast<int64_t>(partial) * call.num_q_heads + head) * call.head_dim_v;
}

__device__ __forceinline__ int64_t output_offset(const AttendParams& call, int32_t token,
                                                 int head) {
    return token * call.out.token_stride + head * call.out.head_stride;
}

__device__ __forceinline__ float* partial_row(const AttendParams& call, int32_t partial, int head) {
    return call.work.partial_o + partial_offset(call, partial, head);
}

template <class T>
__device__ __forceinline__ T* output_row(const AttendParams& call, int32_t token, int head) {
    return static_cast<T*>(call.out.data) + output_offset(call, token, head);
}

__device__ __forceinline__ void store_lse(const AttendParams& call, const Item& item, Row row,
                                          int item_token, float lse) {
    if (item.partial >= 0) {
        call.work.partial_lse[static_cast<int64_t>(item.partial + item_token) * call.num_q_heads +
                              row.head] = lse;
    } else if (call.lse) {
        call.lse[row.token * call.lse_token_stride + row.head * call.lse_head_stride] = lse;
    }
}

// Dims [4 quad, 4 quad + 4) of a row; the first quad's thread stores the LSE too.
template <class T>
__device__ __forceinline__ void store_row_quad(const AttendParams& call, const Item& item, Row row,
                                               int item_token, int quad, float4 o,
                                               const RowResult& result) {
    o.x *= result.scale;
    o.y *= result.scale;
    o.z *= result.scale;
    o.w *= result.scale;
    if (item.partial >= 0) {
        reinterpret_cast<float4*>(partial_row(call, item.partial + item_token, row.head))[quad] = o;
    } else {
        reinterpret_cast<uint2*>(output_row<T>(call, row.token, row.head))[quad] =
            make_uint2(ptx::pack<T>(o.x, o.y), ptx::pack<T>(o.z, o.w));
    }
    if (quad == 0)
        store_lse(call, item, row, item_token, result.lse);
}

}  // namespace relayattn::cuda
