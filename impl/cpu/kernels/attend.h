// One item on one KV head: for each step of its KV, for each tile of its rows, scores, softmax and
// the weighted sum of V. Row r is query token r / G of the item under the head's query head r % G.
//
// A step's K and V come from memory once and from L2 for every further tile; a tile's scores stay
// in L1.
#pragma once

#include "impl/cpu/kernels/finish.h"
#include "impl/cpu/kernels/products.h"
#include "impl/cpu/kernels/softmax.h"
#include "impl/cpu/kernels/tails.h"

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

// Consecutive rows that go through a step together.
template <class V, class T>
struct Tile {
    int64_t begin, rows;
    const Products<V, T>* products;
    float* scores;
    Levels<V, most_rows<V, T>()> levels;
    // Of a product that takes pairs: the probabilities as words, and a bit for each pair with a
    // large one.
    float* words;
    uint64_t large[most_rows<V, T>()];
};

template <class V, class T>
struct Group {
    Tile<V, T> tiles[k_group_tiles];
    int64_t num_tiles = 0;
    int64_t wide = 1;  // largest of the tiles'
};

// Scores of pairs of bf16 come unscaled: as a rule the exponent's own multiplication scales them.
template <class V, class T>
inline void soften(const Unit& u, Tile<V, T>& tile, const Step& step) {
    const AttendJob& job = u.job;
    const bool shaped = u.item.masked != 0 || step.ragged || job.score_cap > 0 ||
                        job.alibi_slopes != nullptr || (is_dot<T> && !(job.q_scale > 0));
    const float factor = is_dot<T> && !shaped ? job.q_scale : 1.0f;
    for (float& top : tile.levels.tops) {
        top = -k_infinity;
    }
    for (int64_t r = 0; r < tile.rows; ++r) {
        float* scores = tile.scores + r * k_score_stride;
        if (shaped) {
            shape_row<V, T>(u, tile.begin + r, step, scores);
        }
        tile.levels.tops[r] = top_of<V>(scores, step.columns);
    }
    tile.levels.raise(u.scratch.m + tile.begin, factor);
    for (int64_t r = 0; r < tile.rows; ++r) {
        softmax_row<V, T>(tile.scores + r * k_score_stride, tile.words + r * k_pair_stride,
                          tile.large[r], step.columns, factor, tile.levels.bases[r],
                          tile.levels.alpha[r], u.scratch.l + (tile.begin + r) * 16);
    }
}

// What a tile of the step's first group, or of a later one, fetches.
template <class V, class T>
inline Share share_of(const Group<V, T>& group, int64_t tile, bool first, Ahead* ahead) {
    static_assert(k_group_tiles == 2);
    if (!first) {
        return {Half::none, ahead};
    }
    if (ahead == nullptr && group.num_tiles == 2) {
        return {tile == 0 ? Half::first : Half::second, nullptr};
    }
    return tile == 0 ? Share{Half::all, nullptr} : Share{Half::none, ahead};
}

// A range of K, then of V, is in L1 while all tiles of the group use it.
template <class V, class T>
inline void attend_group(const Unit& u, Group<V, T>& group, const Step& step, bool first,
                         Ahead* ahead) {
    const Scratch& s = u.scratch;
    const PackedLayout& layout = u.job.layout;
    const auto each_range = [&group, first, ahead](int64_t count, auto call) {
        for (int64_t at = 0; at < count; at += group.wide) {
            const int64_t end = at + group.wide < count ? at + group.wide : count;
            for (int64_t t = 0; t < group.num_tiles; ++t) {
                call(group.tiles[t], at, end, share_of(group, t, first, ahead));
            }
        }
    };
    each_range(step.columns / k_lane, [&](Tile<V, T>& t, int64_t at, int64_t end, Share share) {
        t.products->score(layout, s.q + t.begin * k_q_stride, step, at, end, share, t.scores);
    });
    for (int64_t t = 0; t < group.num_tiles; ++t) {
        soften<V, T>(u, group.tiles[t], step);
    }
    const int64_t panels = round_up(layout.head_dim_v, k_lane) / k_lane;
    each_range(panels, [&](Tile<V, T>& t, int64_t at, int64_t end, Share share) {
        t.products->weigh(layout, step, is_dot<T> ? t.words : t.scores, at, end, t.levels.alpha,
                          share, s.o + t.begin * s.o_stride, s.o_stride);
    });
}

// What the products of a step have left out.
template <class V, class T>
inline void add_rests(const Unit& u, const Tile<V, T>& tile, const Step& step) {
    const Places<most_rows<V, T>()> places(tile.large, tile.rows);
    const RoundedRows rows{tile.scores, tile.words, u.scratch.o + tile.begin * u.scratch.o_stride,
                           u.scratch.o_stride};
    if (step.ragged) {
        add_rests<V, true>(u.job.layout, step, rows, places);
    } else {
        add_rests<V, false>(u.job.layout, step, rows, places);
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
inline void attend_step(const Unit& u, const Step& step, Ahead* ahead) {
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
            tile.products = products_of<V, T>(rows, u.cached);
            const int64_t place = group.num_tiles * most_rows<V, T>();
            tile.scores = u.scratch.scores + place * k_score_stride;
            tile.words = u.scratch.pairs + place * k_pair_stride;
            group.wide = group.wide > tile.products->wide ? group.wide : tile.products->wide;
            ++group.num_tiles;
        }
        if (group.num_tiles > 0) {
            attend_group<V, T>(u, group, step, first, ahead);
            if constexpr (is_dot<T>) {
                for (int64_t i = 0; i < group.num_tiles; ++i) {
                    add_rests<V, T>(u, group.tiles[i], step);
                }
            }
            first = false;
        }
    }
}

template <class V>
void attend_unit(const AttendJob& job, WorkUnit unit, WorkUnit upcoming, bool cached,
                 const Beside* beside, void* memory);

template <class V, class T>
void attend_rows(const Unit& u, const Beside* beside) {
    start_rows<V, T>(u);
    Cursor cursor = pieces_of(u.job, u.item);
    Tails<T> tails(u.job, beside, attend_unit<V>);
    Step steps[2];
    bool more = next_step<T>(u.job, u.head, cursor, steps[0]);
    for (int now = 0; more; now ^= 1) {
        more = next_step<T>(u.job, u.head, cursor, steps[now ^ 1]);
        if (!more && u.upcoming.item >= 0) {
            Cursor other = pieces_of(u.job, u.job.items[u.upcoming.item]);
            next_step<T>(u.job, u.upcoming.head, other, steps[now ^ 1]);
        }
        look_ahead(steps[now], steps[now ^ 1]);
        attend_step<V, T>(u, steps[now], tails.ahead());
        tails.after_step();
    }
    tails.finish();
    write_rows<V>(u);
}

template <class V>
inline void attend_rounded(const Unit& u, const Beside* beside) {
    if constexpr (V::has_tiles) {
        if (u.job.layout.head_dim_k % k_tile_terms == 0) {
            return attend_rows<V, Bf16Tile>(u, beside);
        }
    }
    attend_rows<V, Bf16Dot>(u, beside);
}

// Rounding q and the probabilities to bf16 is for callers who round q and out, too.
template <class V>
inline void attend_bf16(const Unit& u, const Beside* beside) {
    if constexpr (V::has_dot) {
        if (u.job.q_dtype == Dtype::bf16 && u.job.out_dtype == Dtype::bf16) {
            return attend_rounded<V>(u, beside);
        }
    }
    attend_rows<V, Bf16>(u, beside);
}

template <class V>
void attend_unit(const AttendJob& job, WorkUnit unit, WorkUnit upcoming, bool cached,
                 const Beside* beside, void* memory) {
    const Item& i = job.items[unit.item];
    Unit u{job, i, unit.head, upcoming, cached, carve_scratch(memory, job.layout.head_dim_v), 0, 0};
    for (int64_t left = i.num_tokens * job.group_size; left > 0; left -= u.rows) {
        u.rows = left < k_max_rows ? left : k_max_rows;
        switch (job.kv_dtype) {
            case Dtype::f32:
                attend_rows<V, float>(u, beside);
                break;
            case Dtype::f16:
                attend_rows<V, F16>(u, beside);
                break;
            case Dtype::bf16:
                attend_bf16<V>(u, beside);
                break;
        }
        u.first_row += u.rows;
    }
}

template <class V>
constexpr bool has_tiles() {
    if constexpr (V::has_dot) {
        return V::has_tiles;
    }
    return false;
}

template <class V>
void attend_item(const AttendJob& job, WorkUnit unit, WorkUnit upcoming, const Beside* beside,
                 void* memory) {
    if constexpr (has_tiles<V>()) {
        V::Tiles::begin();
    }
    attend_unit<V>(job, unit, upcoming, false, beside, memory);
    if constexpr (has_tiles<V>()) {
        V::Tiles::end();
    }
}

}  // namespace
}  // namespace relayattn::cpu
