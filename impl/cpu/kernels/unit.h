// One item on one KV head, and what happens to its rows before, between and after the products.
// Row r is query token r / G of the item under the head's query head r % G.
#pragma once

#include "impl/cpu/kernels/finish.h"
#include "impl/cpu/kernels/softmax.h"

namespace relayattn::cpu {
namespace {

struct Unit {
    const AttendJob& job;
    const Item& item;
    int64_t head;
    WorkUnit upcoming;
    bool cached;  // its KV, before it begins
    Scratch scratch;
    int64_t first_row, rows;

    // Of the item's query tokens, the one that row r (counted from first_row) belongs to.
    int64_t index_of(int64_t r) const { return (first_row + r) / job.group_size; }
    int64_t token_of(int64_t r) const { return job.item_tokens[item.first_token + index_of(r)]; }
    int64_t q_head_of(int64_t r) const {
        return head * job.group_size + (first_row + r) % job.group_size;
    }
};

template <class V, class T>
inline void start_rows(const Unit& u) {
    const Scratch& s = u.scratch;
    for (int64_t r = 0; r < u.rows; ++r) {
        const char* q = row_at(u.job.q, u.token_of(r), u.q_head_of(r));
        if constexpr (is_dot<T>) {  // exact: the scores are scaled instead
            __builtin_memcpy(s.q + r * k_q_stride, q,
                             static_cast<uint64_t>(u.job.layout.head_dim_k) * sizeof(T));
        } else {
            read_row<V>(u.job.q_dtype, q, u.job.layout.head_dim_k, u.job.q_scale,
                        s.q + r * k_q_stride);
        }
        s.m[r] = -k_infinity;
    }
    const auto bytes = [](int64_t floats) { return static_cast<uint64_t>(floats) * sizeof(float); };
    __builtin_memset(s.o, 0, bytes(u.rows * s.o_stride));
    __builtin_memset(s.l, 0, bytes(u.rows * 16));
}

inline bool sees(const Unit& u, int64_t first, int64_t rows, const Step& step) {
    for (int64_t t = u.index_of(first); t <= u.index_of(first + rows - 1); ++t) {
        const QueryToken& q = u.job.tokens[u.job.item_tokens[u.item.first_token + t]];
        if (q.visible_begin < step.end_position() && q.visible_end > step.begin_position()) {
            return true;
        }
    }
    return false;
}

// What lies between the product and the softmax.
template <class V, class T>
inline void shape_row(const Unit& u, int64_t row, const Step& step, float* scores) {
    const AttendJob& job = u.job;
    if constexpr (is_dot<T>) {
        scale_row<V>(scores, step.columns, job.q_scale);
    }
    if (job.score_cap > 0) {
        cap_row<V>(scores, step.columns, job.score_cap);
    }
    const int64_t token = u.token_of(row);
    const QueryToken& q = job.tokens[token];
    if (job.alibi_slopes != nullptr) {
        add_alibi<V>(step, scores, job.alibi_slopes[u.q_head_of(row)] * k_log2_e, q.position);
    }
    if (u.item.masked != 0) {
        hide_outside(step, scores, q.visible_begin, q.visible_end);
        if (u.item.tree != 0) {
            hide_branches(step, scores, job.tree_mask + token * job.tree_stride, q.new_begin,
                          q.visible_end);
        }
    } else if (step.ragged) {
        hide_outside(step, scores, step.begin_position(), step.end_position());
    }
}

// Whether scores need shape_row at a step. Those of pairs of bf16 come unscaled: as a rule the
// exponent's own multiplication scales them.
template <class T>
inline bool needs_shape(const Unit& u, const Step& step) {
    const AttendJob& job = u.job;
    return u.item.masked != 0 || step.ragged || job.score_cap > 0 || job.alibi_slopes != nullptr ||
           (is_dot<T> && !(job.q_scale > 0));
}

template <class V>
inline void write_rows(const Unit& u) {
    const Scratch& s = u.scratch;
    for (int64_t r = 0; r < u.rows; ++r) {
        const float* o = s.o + r * s.o_stride;
        const float l = V::hsum(V::load(s.l + r * 16));
        if (u.item.partial < 0) {
            write_result<V>(u.job, u.token_of(r), u.q_head_of(r), o, s.m[r], l);
        } else {
            write_partial(u.job, u.item.partial + u.index_of(r), u.q_head_of(r), o, s.m[r], l);
        }
    }
}

}  // namespace
}  // namespace relayattn::cpu
