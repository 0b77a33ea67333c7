// One item on one KV head: for each step of its KV, for each tile of its rows, scores, softmax and
// the weighted sum of V.
//
// A step's K and V come from memory once and from L2 for every further tile; a tile's scores stay
// in L1.
#pragma once

#include "impl/cpu/kernels/attend_tiles.h"
#include "impl/cpu/kernels/products.h"
#include "impl/cpu/kernels/tails.h"
#include "impl/cpu/kernels/unit.h"

namespace relayattn::cpu {
namespace {

// Consecutive rows that go through a step together.
template <class V, class T>
struct Tile {
    int64_t begin, rows;
    const Products<V, T>* products;
    float* scores;
    Levels<V, V::max_rows> levels;
    // Of a product that takes pairs: the probabilities as words, and a bit for each pair with a
    // large one.
    float* words;
    uint64_t large[V::max_rows];
};

template <class V, class T>
struct Group {
    Tile<V, T> tiles[k_group_tiles];
    int64_t num_tiles = 0;
    int64_t wide = 1;  // largest of the tiles'
};

template <class V, class T>
inline void soften(const Unit& u, Tile<V, T>& tile, const Step& step) {
    const bool shaped = needs_shape<T>(u, step);
    const float factor = is_dot<T> && !shaped ? u.job.q_scale : 1.0f;
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
    const Places<V::max_rows> places(tile.large, tile.rows);
    const RoundedRows rows{tile.scores, tile.words, u.scratch.o + tile.begin * u.scratch.o_stride,
                           u.scratch.o_stride};
    if (step.ragged) {
        add_rests<V, true>(u.job.layout, step, rows, places);
    } else {
        add_rests<V, false>(u.job.layout, step, rows, places);
    }
}

template <class V, class T>
inline void attend_step(const Unit& u, const Step& step, Ahead* ahead) {
    // Tiles of nearly equal height, so that none is left with a row or two.
    const int64_t tiles = (u.rows + V::max_rows - 1) / V::max_rows;
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
            const int64_t place = group.num_tiles * V::max_rows;
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
        if constexpr (is_tile<T>) {
            Stream stream;
            if (!u.cached) {
                list_step<T>(u.job.layout, steps[now ^ 1], stream);
            }
            tails.add_share(stream);
            TileStep<V, T>(u, steps[now], stream).run();
        } else {
            look_ahead(steps[now], steps[now ^ 1]);
            attend_step<V, T>(u, steps[now], tails.ahead());
        }
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
