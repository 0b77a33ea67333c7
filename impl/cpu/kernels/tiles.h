// The products of bf16 by a unit of tiles: 16 rows of 64 bytes each, and C += A B with A of 16 rows
// x 32 bf16, B of 16 pairs x 16 columns and C of 16 x 16 float32. Blocks of K and panels of V are
// such tiles B as they lie in their pages.
//
// V::Tiles is the unit:
//   begin() end()              around all use of the others, on the thread that uses them
//   zero<C>() load<T>(p, s)    rows s bytes apart
//   dot<C, A, B>() store<C>(p, s)
//
// All 16 rows are computed; those beyond a tile's own are made of what the scratch holds, and end
// in the scratch. Whatever the rows beside it, a row is the sum of the same terms in the same
// order.
//
// A probability is the sum of two bf16, `high` and the rest: rounded to one, probabilities would
// double the variance of a bf16 result's error. Both are multiplied with a tile of V once it is
// loaded.
#pragma once

#include "impl/cpu/kernels/softmax.h"

namespace relayattn::cpu {
namespace {

constexpr int k_tile_rows = 16;
constexpr int k_tile_terms = 32;     // of one dot
constexpr int64_t k_tile_line = 64;  // bytes of a row
constexpr int k_tile_sums = 4;       // tiles C at once: 1 x 4, or 2 x 2, which loads less
constexpr int k_tile_left = 4;       // first tile A
constexpr int k_tile_right = 6;      // first tile B

constexpr int64_t tile_stride(int64_t floats) {
    return floats * static_cast<int64_t>(sizeof(float));
}

template <class V, int COUNT>
[[gnu::always_inline]] inline void zero_sums() {
    V::Tiles::template zero<0>();
    if constexpr (COUNT > 1) {
        V::Tiles::template zero<1>();
    }
    if constexpr (COUNT > 2) {
        V::Tiles::template zero<2>();
        V::Tiles::template zero<3>();
    }
}

// Sum (i, j) is C number i * WIDE + j; `each` gets i and j as constants.
template <int TALL, int WIDE, class Each>
[[gnu::always_inline]] inline void each_sum(Each each) {
    each.template operator()<0, 0>();
    if constexpr (WIDE > 1) {
        each.template operator()<0, 1>();
    }
    if constexpr (WIDE > 2) {
        each.template operator()<0, 2>();
        each.template operator()<0, 3>();
    }
    if constexpr (TALL > 1) {
        each.template operator()<1, 0>();
        if constexpr (WIDE > 1) {
            each.template operator()<1, 1>();
        }
    }
}

// Tile B of column J; of four columns, two are loaded at a time.
template <class V, int J, class Right>
[[gnu::always_inline]] inline void load_right(Right right) {
    V::Tiles::template load<k_tile_right + J % 2>(right(J), k_tile_line);
}

template <class V, int WIDE, class Right>
[[gnu::always_inline]] inline void load_first(Right right) {
    load_right<V, 0>(right);
    if constexpr (WIDE > 1) {
        load_right<V, 1>(right);
    }
}

// Sums += left(i) right(j), the places of tiles A and B. What `between` does lies between loads and
// dots: instructions retire in order, and those behind a dot would have to wait for the loads, too.
template <class V, int TALL, int WIDE, class Left, class Right, class Between>
[[gnu::always_inline]] inline void dot_tiles(Left left, int64_t left_bytes, Right right,
                                             Between between) {
    V::Tiles::template load<k_tile_left>(left(0), left_bytes);
    if constexpr (TALL > 1) {
        V::Tiles::template load<k_tile_left + 1>(left(1), left_bytes);
    }
    load_first<V, WIDE>(right);
    between();
    each_sum<TALL, WIDE>([&]<int I, int J>() {
        if constexpr (J > 1) {
            load_right<V, J>(right);
        }
        V::Tiles::template dot<I * WIDE + J, k_tile_left + I, k_tile_right + J % 2>();
    });
}

// The same with left(i, 0) + left(i, 1) for left(i).
template <class V, int TALL, int WIDE, class Left, class Right, class Between>
[[gnu::always_inline]] inline void dot_split_tiles(Left left, int64_t left_bytes, Right right,
                                                   Between between) {
    if constexpr (TALL == 1) {
        V::Tiles::template load<k_tile_left>(left(0, 0), left_bytes);
        V::Tiles::template load<k_tile_left + 1>(left(0, 1), left_bytes);
        load_first<V, WIDE>(right);
        between();
        each_sum<TALL, WIDE>([&]<int I, int J>() {
            if constexpr (J > 1) {
                load_right<V, J>(right);
            }
            V::Tiles::template dot<J, k_tile_left, k_tile_right + J % 2>();
            V::Tiles::template dot<J, k_tile_left + 1, k_tile_right + J % 2>();
        });
    } else {
        dot_tiles<V, TALL, WIDE>([&](int i) { return left(i, 0); }, left_bytes, right, between);
        V::Tiles::template load<k_tile_left>(left(0, 1), left_bytes);
        V::Tiles::template load<k_tile_left + 1>(left(1, 1), left_bytes);
        each_sum<TALL, WIDE>([&]<int I, int J>() {
            V::Tiles::template dot<I * WIDE + J, k_tile_left + I, k_tile_right + J>();
        });
    }
}

// One or two tiles of rows that share the tiles of K and V that are loaded. Their scores lie below
// each other, and become probabilities where they lie.
template <class V>
struct TileGroup {
    int count = 0;
    int64_t begin[2], rows[2];
    float* scores;
    Levels<V, k_tile_rows> levels[2];
};

// beat(n) is called once for n dots. Head dims of K are a multiple of k_tile_terms.
template <class V, class T, int TALL, int WIDE, class Beat>
inline void score_tiles(const PackedLayout& layout, const float* const (&q)[2],
                        const void* const* blocks, float* scores, Beat& beat) {
    zero_sums<V, TALL * WIDE>();
    for (int64_t d = 0; d < layout.head_dim_k; d += k_tile_terms) {
        dot_tiles<V, TALL, WIDE>(
            [&](int i) { return q[i] + d / 2; }, tile_stride(k_q_stride),
            [&](int j) { return static_cast<const T*>(blocks[j]) + d * k_lane; },
            [&] { beat(TALL * WIDE); });
    }
    each_sum<TALL, WIDE>([&]<int I, int J>() {
        V::Tiles::template store<I * WIDE + J>(
            scores + I * k_tile_rows * k_score_stride + J * k_lane, tile_stride(k_score_stride));
    });
}

template <class V, class T, int TALL, class Beat>
inline void score_group(const PackedLayout& layout, const float* const (&q)[2], const Step& step,
                        float* scores, Beat& beat) {
    constexpr int wide = k_tile_sums / TALL;
    const int64_t blocks = step.columns / k_lane;
    int64_t b = 0;
    for (; b + wide <= blocks; b += wide) {
        score_tiles<V, T, TALL, wide>(layout, q, step.k_blocks + b, scores + b * k_lane, beat);
    }
    for (; b < blocks; ++b) {
        score_tiles<V, T, TALL, 1>(layout, q, step.k_blocks + b, scores + b * k_lane, beat);
    }
}

// V of a step by 32 columns, of which each panel has a tile. As a rule it lies in a page as it is;
// else it is put together, with zeros for columns that hold no token: such slots may hold NaN.
template <class V, class T>
class ColumnTiles {
  public:
    explicit ColumnTiles(const Step& step) : step_(step) {
        for (int32_t i = 0; i < step.num_segments; ++i) {
            const Segment& s = step.segments[i];
            const int64_t first = s.column + s.lead;
            for (int64_t c = s.column; c < s.end_column; c += k_lane) {
                tokens_[c / k_lane] = ones(first + s.tokens - c) & ~ones(first - c);
            }
        }
    }

    int64_t count() const { return (step_.columns / k_lane + 1) / 2; }

    // Of the panel that lies so many elements after the first one; `copy` is room for one.
    const void* at(int64_t tile, int64_t panel, float* copy) const {
        const int64_t block = 2 * tile;
        const T* low = static_cast<const T*>(step_.v_blocks[block]);
        const T* high =
            tokens_[block + 1] != 0 ? static_cast<const T*>(step_.v_blocks[block + 1]) : low;
        if ((tokens_[block] & tokens_[block + 1]) == k_all && high == low + k_lane * k_lane) {
            return low + panel;
        }
        copy_block(low + panel, tokens_[block], copy);
        copy_block(high + panel, tokens_[block + 1], copy + k_in_block);
        return copy;
    }

  private:
    static constexpr uint32_t k_all = 0xffff;
    static constexpr int64_t k_in_block = k_lane * k_lane / 2;  // words

    const Step& step_;
    uint32_t tokens_[k_max_blocks] = {};  // bits of a block's columns

    static uint32_t ones(int64_t count) {
        return count <= 0 ? 0 : count >= k_lane ? k_all : (1u << count) - 1;
    }

    static void copy_block(const T* from, uint32_t tokens, float* to) {
        for (int64_t pair = 0; pair < k_lane / 2; ++pair, from += 2 * k_lane, to += k_lane) {
            switch (tokens >> (2 * pair) & 3) {
                case 0:
                    V::store(to, V::zero());
                    break;
                case 1:
                    V::store(to, V::template load_pairs<0>(from));
                    break;
                case 2:
                    V::store(to, V::template load_pairs<1>(from));
                    break;
                default:
                    V::store(to, V::template load_pairs<k_both>(from));
            }
        }
    }
};

// WIDE panels of o += p V.
template <class V, class T, int TALL, int WIDE, class Beat>
inline void weigh_tiles(const PackedLayout& layout, const ColumnTiles<V, T>& columns,
                        const float* p, int64_t panel, float* const (&o)[2], int64_t o_stride,
                        Beat& beat) {
    alignas(64) float copies[WIDE][k_tile_rows * k_lane];
    each_sum<TALL, WIDE>([&]<int I, int J>() {
        V::Tiles::template load<I * WIDE + J>(o[I] + (panel + J) * k_lane, tile_stride(o_stride));
    });
    for (int64_t t = 0; t < columns.count(); ++t) {
        const float* words = p + t * (k_tile_terms / 2);
        dot_split_tiles<V, TALL, WIDE>(
            [&](int row, int part) {
                return words + row * k_tile_rows * k_score_stride + part * k_rest_words;
            },
            tile_stride(k_score_stride),
            [&](int j) { return columns.at(t, (panel + j) * layout.v_panel, copies[j]); },
            [&] { beat(2 * TALL * WIDE); });
    }
    each_sum<TALL, WIDE>([&]<int I, int J>() {
        V::Tiles::template store<I * WIDE + J>(o[I] + (panel + J) * k_lane, tile_stride(o_stride));
    });
}

// o is summed up in tiles, step after step: the sum's error stays far below that of bf16.
template <class V, class T, int TALL, class Beat>
inline void weigh_group(const PackedLayout& layout, const ColumnTiles<V, T>& columns,
                        const float* p, float* const (&o)[2], int64_t o_stride, Beat& beat) {
    constexpr int wide = k_tile_sums / TALL;
    const int64_t panels = round_up(layout.head_dim_v, k_lane) / k_lane;
    int64_t b = 0;
    for (; b + wide <= panels; b += wide) {
        weigh_tiles<V, T, TALL, wide>(layout, columns, p, b, o, o_stride, beat);
    }
    for (; b < panels; ++b) {
        weigh_tiles<V, T, TALL, 1>(layout, columns, p, b, o, o_stride, beat);
    }
}

}  // namespace
}  // namespace relayattn::cpu
