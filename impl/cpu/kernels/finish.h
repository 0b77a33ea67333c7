// From sums to results: the output row and its LSE, a partial, the merge of partials, rows that see
// nothing. And ra_merge_state, which merges two finished states.
#pragma once

#include "impl/cpu/job.h"
#include "impl/cpu/kernels/rows.h"

namespace relayattn::cpu {
namespace {

constexpr int64_t k_max_head_dim = 256;

inline char* row_at(const Rows& rows, int64_t token, int64_t head) {
    return rows.data + token * rows.token_stride + head * rows.head_stride;
}

inline void write_lse(const AttendJob& job, int64_t token, int64_t head, float value) {
    if (job.lse != nullptr) {
        job.lse[token * job.lse_token_stride + head * job.lse_head_stride] = value;
    }
}

inline void write_nothing(const AttendJob& job, int64_t token, int64_t head, bool padded) {
    zero_row(job.out_dtype, job.layout.head_dim_v, row_at(job.out, token, head));
    const bool sink = job.sink_logits != nullptr && !padded;
    write_lse(job, token, head, sink ? job.sink_logits[head] : -k_infinity);
}

// out = o / l. A sink is one more term of the sum, whose weight goes nowhere.
template <class V>
inline void write_result(const AttendJob& job, int64_t token, int64_t head, const float* o, float m,
                         float l) {
    if (m == -k_infinity) {
        return write_nothing(job, token, head, false);
    }
    float scale = 1.0f;
    if (job.sink_logits != nullptr) {
        const float sink = job.sink_logits[head] * k_log2_e;
        const float top = sink > m ? sink : m;
        scale = exp2_one<V>(m - top);
        l = l * scale + exp2_one<V>(sink - top);
        m = top;
    }
    write_row<V>(job.out_dtype, o, job.layout.head_dim_v, scale / l, row_at(job.out, token, head));
    const double lse = static_cast<double>(m) * k_ln_2 + __builtin_log(static_cast<double>(l));
    write_lse(job, token, head, static_cast<float>(lse));
}

inline int64_t partial_row(const AttendJob& job, int64_t partial, int64_t head) {
    return partial * job.num_q_heads + head;
}

inline void write_partial(const AttendJob& job, int64_t partial, int64_t head, const float* o,
                          float m, float l) {
    const int64_t row = partial_row(job, partial, head);
    const int64_t dim = job.layout.head_dim_v;
    __builtin_memcpy(job.partials.o + row * dim, o, static_cast<uint64_t>(dim) * sizeof(float));
    job.partials.m[row] = m;
    job.partials.l[row] = l;
}

// o += weight * x
template <class V>
inline void add_row(const float* x, int64_t n, float weight, float* o) {
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) {
        V::store(o + i, V::fma(V::load(x + i), V::set(weight), V::load(o + i)));
    }
    if (i < n) {
        narrow_part<V>(
            o + i, n - i,
            V::fma(widen_part<V>(x + i, n - i), V::set(weight), widen_part<V>(o + i, n - i)));
    }
}

template <class V>
inline void finish_row(const AttendJob& job, int64_t token, int64_t head) {
    const QueryToken& t = job.tokens[token];
    const int32_t* index = job.partial_index + t.first_partial;
    float m = -k_infinity;
    for (int32_t i = 0; i < t.num_partials; ++i) {
        const float each = job.partials.m[partial_row(job, index[i], head)];
        m = each > m ? each : m;
    }
    if (m == -k_infinity) {
        return write_nothing(job, token, head, false);
    }
    alignas(64) float o[k_max_head_dim] = {};
    float l = 0;
    for (int32_t i = 0; i < t.num_partials; ++i) {
        const int64_t row = partial_row(job, index[i], head);
        const float weight = exp2_one<V>(job.partials.m[row] - m);
        l += weight * job.partials.l[row];
        add_row<V>(job.partials.o + row * job.layout.head_dim_v, job.layout.head_dim_v, weight, o);
    }
    write_result<V>(job, token, head, o, m, l);
}

template <class V>
void finish_token(const AttendJob& job, int64_t token, int64_t kv_head) {
    for (int64_t g = 0; g < job.group_size; ++g) {
        finish_row<V>(job, token, kv_head * job.group_size + g);
    }
}

inline void blank_token(const AttendJob& job, int64_t token, bool padded) {
    for (int64_t h = 0; h < job.num_q_heads; ++h) {
        write_nothing(job, token, h, padded);
    }
}

}  // namespace
}  // namespace relayattn::cpu
