// One item on one KV head: for each step of its KV, for each tile of its rows, scores, softmax and
// the weighted sum of V. Row r is query token r / G of the item under the head's query head r % G.
//
// A step's K and V come from memory once and from L2 for every further tile; a tile's scores stay
// in L1.
#pragma once

#include "impl/cpu/kernels/finish.h"
#include "impl/cpu/kernels/products.h"
#include "impl/cpu/kernels/softmax.h"

namespace relayattn::cpu {
namespace {

struct Unit {
    const AttendJob& job;
    const Item& item;
    int64_t head;
    Scratch scratch;
    int64_t first_row, rows;

    // Of the item's query tokens, the one that row r (counted from first_row) belongs to.
    int64_t index_of(int64_t r) const { return (first_row + r) / job.group_size; }
    int64_t token_of(int64_t r) const { return job.item_tokens[item.first_token + index_of(r)]; }
    int64_t q_head_of(int64_t r) const {
        return head * job.group_size + (first_row + r) % job.group_size;
    }
};

template <class V>
inline void start_rows(const Unit& u) {
    const Scratch& s = u.scratch;
    for (int64_t r = 0; r < u.rows; ++r) {
        read_row<V>(u.job.q_dtype, row_at(u.job.q, u.token_of(r), u.q_head_of(r)),
                    u.job.layout.head_dim_k, u.job.q_scale, s.q + r * k_q_stride);
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
template <class V>
inline void shape_row(const Unit& u, int64_t row, const Step& step, float* scores) {
    const AttendJob& job = u.job;
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

template <class V, class T>
inline void attend_tile(const Unit& u, int64_t first, int64_t rows, const Step& step) {
    const Scratch& s = u.scratch;
    const Products<V, T>& products = products_by_rows<V, T>.of[rows];
    products.score(s.q + first * k_q_stride, step, u.job.layout.head_dim_k, s.scores);
    const bool shaped = u.item.masked != 0 || step.ragged || u.job.score_cap > 0 ||
                        u.job.alibi_slopes != nullptr;
    float alpha[k_max_tile_rows];
    for (int64_t r = 0; r < rows; ++r) {
        float* scores = s.scores + r * k_score_stride;
        if (shaped) {
            shape_row<V>(u, first + r, step, scores);
        }
        alpha[r] = softmax_row<V>(scores, step.columns, s.m[first + r],
                                  s.l + (first + r) * 16);
    }
    products.weigh(step, s.scores, u.job.layout, alpha, s.o + first * s.o_stride, s.o_stride);
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
            write_partial(u.job, u.item.partial + u.index_of(r), u.q_head_of(r), o, s.m[r],
                          l);
        }
    }
}

template <class V, class T>
void attend_rows(const Unit& u) {
    start_rows<V>(u);
    const Piece* pieces = u.job.pieces + u.item.first_piece;
    Cursor cursor{pieces, pieces + u.item.num_pieces, 0};
    // Tiles of nearly equal height, so that none is left with a row or two.
    const int64_t tiles = (u.rows + V::max_rows - 1) / V::max_rows;
    Step step;
    while (next_step<T>(u.job, u.head, cursor, step)) {
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t first = u.rows * t / tiles;
            const int64_t rows = u.rows * (t + 1) / tiles - first;
            if (u.item.masked == 0 || sees(u, first, rows, step)) {
                attend_tile<V, T>(u, first, rows, step);
            }
        }
    }
    write_rows<V>(u);
}

template <class V>
void attend_item(const AttendJob& job, int64_t item, int64_t head, void* memory) {
    const Item& i = job.items[item];
    Unit u{job, i, head, carve_scratch(memory, job.layout.head_dim_v), 0, 0};
    for (int64_t left = i.num_tokens * job.group_size; left > 0; left -= u.rows) {
        u.rows = left < k_max_rows ? left : k_max_rows;
        switch (job.kv_dtype) {
            case Dtype::f32:
                attend_rows<V, float>(u);
                break;
            case Dtype::f16:
                attend_rows<V, F16>(u);
                break;
            case Dtype::bf16:
                attend_rows<V, Bf16>(u);
                break;
        }
        u.first_row += u.rows;
    }
}

}  // namespace
}  // namespace relayattn::cpu
