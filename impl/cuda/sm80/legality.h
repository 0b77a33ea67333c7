// What the fast kernels ask of a call; everything else goes to the general path.
#pragma once

#include "impl/cuda/attend_params.h"

namespace relayattn::cuda {

inline bool is_16_byte_aligned(const void* data, int64_t stride, int64_t other_stride) {
    constexpr int64_t elements = 8;  // of 16 bits
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % elements == 0 &&
           other_stride % elements == 0;
}

inline bool is_16_byte_aligned(const Strided& t) {
    return is_16_byte_aligned(t.data, t.token_stride, t.head_stride);
}

inline bool is_16_byte_aligned(const Pages& p) {
    return is_16_byte_aligned(p.data, p.token_stride, p.head_stride) && p.page_stride % 8 == 0;
}

inline bool has_fast_head_dim(const AttendParams& call) {
    const int32_t dim = call.head_dim_k;
    return call.head_dim_v == dim && (dim == 64 || dim == 96 || dim == 128 || dim == 256);
}

inline bool is_legal(const AttendParams& call) {
    constexpr int32_t page_granule = 8;
    const bool dtypes = (call.kv_dtype == Dtype::bf16 || call.kv_dtype == Dtype::f16) &&
                        call.q_dtype == call.kv_dtype && call.out_dtype == call.kv_dtype;
    return dtypes && has_fast_head_dim(call) && call.page_size % page_granule == 0 &&
           is_16_byte_aligned(call.q) && is_16_byte_aligned(call.out) &&
           is_16_byte_aligned(call.k) && is_16_byte_aligned(call.v) &&
           is_16_byte_aligned(call.k_pages) && is_16_byte_aligned(call.v_pages);
}

}  // namespace relayattn::cuda
