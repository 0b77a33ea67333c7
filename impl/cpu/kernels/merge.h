// ra_merge_state: out = (2^la a + 2^lb b) / (2^la + 2^lb). A part whose LSE is infinite is empty;
// it may hold NaN and is not touched.
#pragma once

#include "impl/cpu/kernels/finish.h"

namespace relayattn::cpu {
namespace {

constexpr int64_t k_merge_block = 256;  // dims at a time: heads of any size fit the stack

template <class V>
inline void blend_row(const MergeJob& job, const char* a, const char* b, float wa, float wb,
                      char* out) {
    const int64_t in_size = job.in_dtype == Dtype::f32 ? 4 : 2;
    const int64_t out_size = job.out_dtype == Dtype::f32 ? 4 : 2;
    alignas(64) float sum[k_merge_block];
    alignas(64) float term[k_merge_block];
    for (int64_t d = 0; d < job.head_dim; d += k_merge_block) {
        const int64_t left = job.head_dim - d;
        const int64_t n = left < k_merge_block ? left : k_merge_block;
        __builtin_memset(sum, 0, sizeof sum);
        if (wa > 0) {
            read_row<V>(job.in_dtype, a + d * in_size, n, wa, sum);
        }
        if (wb > 0) {
            read_row<V>(job.in_dtype, b + d * in_size, n, 1.0f, term);
            add_row<V>(term, n, wb, sum);
        }
        write_row<V>(job.out_dtype, sum, n, 1.0f, out + d * out_size);
    }
}

template <class V>
inline void merge_row(const MergeJob& job, int64_t token, int64_t head) {
    const int64_t at = token * job.lse_token_stride + head * job.lse_head_stride;
    const double to_log2 = static_cast<double>(job.lse_to_log2);
    float la = job.a_lse[at];
    float lb = job.b_lse[at];
    la = la == k_infinity ? -k_infinity : la;
    lb = lb == k_infinity ? -k_infinity : lb;
    const float top = la > lb ? la : lb;
    float wa = 0, wb = 0, lse = -k_infinity;
    if (top != -k_infinity) {
        // Differences first: their rounding, unlike that of the LSEs, is small.
        wa = exp2_one<V>(static_cast<float>(to_log2 * static_cast<double>(la - top)));
        wb = exp2_one<V>(static_cast<float>(to_log2 * static_cast<double>(lb - top)));
        const float sum = wa + wb;
        lse = static_cast<float>(static_cast<double>(top) +
                                 __builtin_log2(static_cast<double>(sum)) / to_log2);
        wa /= sum;
        wb /= sum;
    }
    blend_row<V>(job, row_at(job.a, token, head), row_at(job.b, token, head), wa, wb,
                 row_at(job.out, token, head));
    if (job.out_lse != nullptr) {
        job.out_lse[at] = lse;
    }
}

template <class V>
void merge_tokens(const MergeJob& job, int64_t begin_token, int64_t end_token) {
    for (int64_t t = begin_token; t < end_token; ++t) {
        for (int64_t h = 0; h < job.num_heads; ++h) {
            merge_row<V>(job, t, h);
        }
    }
}

}  // namespace
}  // namespace relayattn::cpu
