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
    WorkUnit upcoming;
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

inline Cursor pieces_of(const AttendJob& job, const Item& item) {
    const Piece* pieces = job.pieces + item.first_piece;
    return {pieces, pieces + item.num_pieces, 0};
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

// Consecutive rows that go through a step together.
template <class V, class T>
struct Tile {
    int64_t begin, rows;
    const Products<V, T>* products;
    float* scores;
    float alpha[most_rows<V, T>()];
    // Of a product that takes pairs: the probabilities as words, and which of them are large.
    float* words;
    uint32_t large[most_rows<V, T>()][k_max_columns / 32];
};

template <class V, class T>
struct Group {
    Tile<V, T> tiles[k_group_tiles];
    int64_t num_tiles = 0;
    int64_t wide = 1;  // largest of the tiles'
};

template <class V, class T>
inline void soften(const Unit& u, Tile<V, T>& tile, const Step& step) {
    const bool shaped =
        u.item.masked != 0 || step.ragged || u.job.score_cap > 0 || u.job.alibi_slopes != nullptr;
    for (int64_t r = 0; r < tile.rows; ++r) {
        const int64_t row = tile.begin + r;
        float* scores = tile.scores + r * k_score_stride;
        if (shaped) {
            shape_row<V>(u, row, step, scores);
        }
        __builtin_memset(tile.large[r], 0, is_dot<T> ? sizeof tile.large[r] : 0);
        tile.alpha[r] = softmax_row<V, T>(scores, tile.words + r * k_pair_stride, tile.large[r],
                                          step.columns, u.scratch.m[row], u.scratch.l + row * 16);
    }
}

// A range of K, then of V, is in L1 while all tiles of the group use it.
template <class V, class T>
inline void attend_group(const Unit& u, Group<V, T>& group, const Step& step, bool first) {
    const Scratch& s = u.scratch;
    const PackedLayout& layout = u.job.layout;
    const auto each_range = [&group, first](int64_t count, auto call) {
        for (int64_t at = 0; at < count; at += group.wide) {
            const int64_t end = at + group.wide < count ? at + group.wide : count;
            for (int64_t t = 0; t < group.num_tiles; ++t) {
                call(group.tiles[t], at, end, Share{t, first ? group.num_tiles : 0});
            }
        }
    };
    each_range(step.columns / k_lane, [&](Tile<V, T>& t, int64_t at, int64_t end, Share share) {
        t.products->score(layout, s.q + t.begin * k_q_stride, step, at, end, share, u.job.q_scale,
                          t.scores);
    });
    for (int64_t t = 0; t < group.num_tiles; ++t) {
        soften<V, T>(u, group.tiles[t], step);
    }
    const int64_t panels = round_up(layout.head_dim_v, k_lane) / k_lane;
    each_range(panels, [&](Tile<V, T>& t, int64_t at, int64_t end, Share share) {
        t.products->weigh(layout, step, is_dot<T> ? t.words : t.scores, at, end, t.alpha, share,
                          s.o + t.begin * s.o_stride, s.o_stride);
    });
}

// What the products of a step have left out.
template <class V, class T>
inline void add_rests(const Unit& u, const Tile<V, T>& tile, const Step& step) {
    for (int64_t r = 0; r < tile.rows; ++r) {
        const RoundedRow row{tile.scores + r * k_score_stride, tile.words + r * k_pair_stride,
                             tile.large[r]};
        float* o = u.scratch.o + (tile.begin + r) * u.scratch.o_stride;
        if (step.ragged) {
            add_rests<V, true>(u.job.layout, step, row, o);
        } else {
            add_rests<V, false>(u.job.layout, step, row, o);
        }
    }
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

template <class V, class T>
inline void attend_step(const Unit& u, const Step& step) {
    // Tiles of nearly equal height, so that none is left with a row or two.
    const int64_t tiles = (u.rows + most_rows<V, T>() - 1) / most_rows<V, T>();
    bool first = true;
    for (int64_t t = 0; t < tiles;) {
        Group<V, T> group;
        for (; t < tiles && group.num_tiles < k_group_tiles; ++t) {
            const int64_t begin = u.rows * t / tiles;
            const int64_t rows = u.rows * (t + 1) / tiles - begin;
            if (u.item.masked != 0 && !sees(u, begin, rows, step)) {
                continue;
            }
            Tile<V, T>& tile = group.tiles[group.num_tiles];
            tile.begin = begin;
            tile.rows = rows;
            tile.products = &products_by_rows<V, T>.of[rows];
            const int64_t place = group.num_tiles * most_rows<V, T>();
            tile.scores = u.scratch.scores + place * k_score_stride;
            tile.words = u.scratch.pairs + place * k_pair_stride;
            group.wide = group.wide > tile.products->wide ? group.wide : tile.products->wide;
            ++group.num_tiles;
        }
        if (group.num_tiles > 0) {
            attend_group<V, T>(u, group, step, first);
            if constexpr (is_dot<T>) {
                for (int64_t i = 0; i < group.num_tiles; ++i) {
                    add_rests<V, T>(u, group.tiles[i], step);
                }
            }
            first = false;
        }
    }
}

template <class V, class T>
void attend_rows(const Unit& u) {
    start_rows<V, T>(u);
    Cursor cursor = pieces_of(u.job, u.item);
    Step steps[2];
    bool more = next_step<T>(u.job, u.head, cursor, steps[0]);
    for (int now = 0; more; now ^= 1) {
        more = next_step<T>(u.job, u.head, cursor, steps[now ^ 1]);
        if (!more && u.upcoming.item >= 0) {
            Cursor other = pieces_of(u.job, u.job.items[u.upcoming.item]);
            next_step<T>(u.job, u.upcoming.head, other, steps[now ^ 1]);
        }
        look_ahead(steps[now], steps[now ^ 1]);
        attend_step<V, T>(u, steps[now]);
    }
    write_rows<V>(u);
}

template <class V>
inline void attend_rounded(const Unit& u) {
    if constexpr (V::has_tiles) {
        if (u.job.layout.head_dim_k % k_tile_terms == 0) {
            V::Tiles::begin();
            attend_rows<V, Bf16Tile>(u);
            V::Tiles::end();
            return;
        }
    }
    attend_rows<V, Bf16Dot>(u);
}

// Rounding q and the probabilities to bf16 is for callers who round q and out, too.
template <class V>
inline void attend_bf16(const Unit& u) {
    if constexpr (V::has_dot) {
        if (u.job.q_dtype == Dtype::bf16 && u.job.out_dtype == Dtype::bf16) {
            return attend_rounded<V>(u);
        }
    }
    attend_rows<V, Bf16>(u);
}

template <class V>
void attend_item(const AttendJob& job, WorkUnit unit, WorkUnit upcoming, void* memory) {
    const Item& i = job.items[unit.item];
    Unit u{job, i, unit.head, upcoming, carve_scratch(memory, job.layout.head_dim_v), 0, 0};
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
                attend_bf16<V>(u);
                break;
        }
        u.first_row += u.rows;
    }
}

}  // namespace
}  // namespace relayattn::cpu
