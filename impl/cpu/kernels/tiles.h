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
// in the scratch. Whatever its height, a row is the sum of the same terms in the same order.
#pragma once

#include "impl/cpu/kernels/steps.h"
#include "impl/cpu/scratch.h"

namespace relayattn::cpu {
namespace {

constexpr int k_tile_rows = 16;
constexpr int k_tile_terms = 32;     // of one dot
constexpr int64_t k_tile_line = 64;  // bytes of a row
constexpr int k_tile_wide = 4;       // sums C at once
constexpr int k_tile_left = 4, k_tile_right = 5;

template <class V, int WIDE>
[[gnu::always_inline]] inline void zero_tiles() {
    V::Tiles::template zero<0>();
    if constexpr (WIDE > 1) {
        V::Tiles::template zero<1>();
        V::Tiles::template zero<2>();
        V::Tiles::template zero<3>();
    }
}

template <class V, int I, class Fetch>
[[gnu::always_inline]] inline void dot_tile(const void* right, Fetch& fetch) {
    constexpr int tile = k_tile_right + I % 2;
    V::Tiles::template load<tile>(right, k_tile_line);
    V::Tiles::template dot<I, k_tile_left, tile>();
    for (int line = 0; line < k_tile_rows; ++line) {
        fetch.next();
    }
}

// right(i): the tile B of sum i.
template <class V, int WIDE, class Fetch, class Right>
[[gnu::always_inline]] inline void dot_tiles(const float* left, int64_t left_stride, Fetch& fetch,
                                             Right right) {
    V::Tiles::template load<k_tile_left>(left, left_stride * static_cast<int64_t>(sizeof(float)));
    dot_tile<V, 0>(right(0), fetch);
    if constexpr (WIDE > 1) {
        dot_tile<V, 1>(right(1), fetch);
        dot_tile<V, 2>(right(2), fetch);
        dot_tile<V, 3>(right(3), fetch);
    }
}

template <class V, int WIDE>
[[gnu::always_inline]] inline void store_tiles(float* to, int64_t stride) {
    const int64_t bytes = stride * static_cast<int64_t>(sizeof(float));
    V::Tiles::template store<0>(to, bytes);
    if constexpr (WIDE > 1) {
        V::Tiles::template store<1>(to + k_lane, bytes);
        V::Tiles::template store<2>(to + 2 * k_lane, bytes);
        V::Tiles::template store<3>(to + 3 * k_lane, bytes);
    }
}

// Head dims of K are a multiple of k_tile_terms.
template <class V, class T, int WIDE, class Fetch>
inline void score_tiles(const PackedLayout& layout, const float* q, const void* const* blocks,
                        Fetch fetch, float* scores) {
    zero_tiles<V, WIDE>();
    for (int64_t d = 0; d < layout.head_dim_k; d += k_tile_terms) {
        dot_tiles<V, WIDE>(q + d / 2, k_q_stride, fetch,
                           [&](int i) { return static_cast<const T*>(blocks[i]) + d * k_lane; });
    }
    store_tiles<V, WIDE>(scores, k_score_stride);
}

// The tokens of a segment that fill whole tiles begin in its first whole pair.
struct WholeTiles {
    int64_t slot, word;  // of the first one; word of the row of probabilities
    int64_t count;
};

inline WholeTiles whole_tiles(const Segment& s) {
    const int64_t odd = s.slot % 2;
    return {s.slot + odd, (s.column + s.lead + odd) / 2, (s.tokens - odd) / k_tile_terms};
}

// sums += the tokens of a segment that fill no tile.
template <class V, class T, int WIDE>
inline void weigh_rest(const PackedLayout& layout, const Segment& s, const float* p,
                       int64_t first_panel, int rows, float (&sums)[k_tile_rows][WIDE * k_lane]) {
    const WholeTiles whole = whole_tiles(s);
    const int64_t end = s.slot + s.tokens;
    const int64_t first = whole.slot + whole.count * k_tile_terms;  // token after the tiles
    const T* v = static_cast<const T*>(s.v) + first_panel * layout.v_panel;
    for (int r = 0; r < rows; ++r) {
        const float* words =
            p + r * k_pair_stride + whole.word - whole.slot / 2;  // by pair of slots
        for (int i = 0; i < WIDE; ++i) {
            const T* panel = v + i * layout.v_panel;
            auto sum = V::load(&sums[r][i * k_lane]);
            if (s.slot % 2 != 0) {
                const int64_t pair = s.slot / 2;
                V::add_pairs(sum, V::set(words[pair]),
                             V::template load_pairs<1>(panel + pair * 2 * k_lane));
            }
            int64_t slot = first;
            for (; slot + 1 < end; slot += 2) {
                V::add_pairs(sum, V::set(words[slot / 2]),
                             V::template load_pairs<k_both>(panel + slot * k_lane));
            }
            if (slot < end) {
                V::add_pairs(sum, V::set(words[slot / 2]),
                             V::template load_pairs<0>(panel + slot * k_lane));
            }
            V::store(&sums[r][i * k_lane], sum);
        }
    }
}

// fetch_of(s): what segment s of the step brings in.
template <class V, class T, int WIDE, class FetchOf>
inline void weigh_tiles(const PackedLayout& layout, const Step& step, const float* p,
                        int64_t first_panel, const float* alpha, FetchOf fetch_of, int rows,
                        float* o, int64_t o_stride) {
    zero_tiles<V, WIDE>();
    for (int32_t i = 0; i < step.num_segments; ++i) {
        const Segment& s = step.segments[i];
        const WholeTiles whole = whole_tiles(s);
        auto fetch = fetch_of(i);
        for (int64_t t = 0; t < whole.count; ++t) {
            const T* v = static_cast<const T*>(s.v) + first_panel * layout.v_panel +
                         (whole.slot + t * k_tile_terms) * k_lane;
            dot_tiles<V, WIDE>(p + whole.word + t * (k_tile_terms / 2), k_pair_stride, fetch,
                               [&](int panel) { return v + panel * layout.v_panel; });
        }
    }
    alignas(64) float sums[k_tile_rows][WIDE * k_lane];
    store_tiles<V, WIDE>(&sums[0][0], WIDE * k_lane);
    for (int32_t i = 0; i < step.num_segments; ++i) {
        const Segment& s = step.segments[i];
        if (whole_tiles(s).count * k_tile_terms != s.tokens) {
            weigh_rest<V, T, WIDE>(layout, s, p, first_panel, rows, sums);
        }
    }
    for (int r = 0; r < rows; ++r) {
        for (int i = 0; i < WIDE; ++i) {
            float* to = o + r * o_stride + (first_panel + i) * k_lane;
            V::store(to, V::fma(V::load(to), V::set(alpha[r]), V::load(&sums[r][i * k_lane])));
        }
    }
}

}  // namespace
}  // namespace relayattn::cpu
