// The two products, as register-blocked micro-kernels over a tile of MR rows: scores = q K^T of
// WIDE blocks at once, and o = alpha o + P V of WIDE panels at once.
//
// Every sum has one accumulator per (row, column), added to in the order of its terms. A row's
// result is therefore the same in a tile of any height: batch-invariant plans rest on it.
#pragma once

#include "impl/cpu/kernels/fetch.h"
#include "impl/cpu/scratch.h"

namespace relayattn::cpu {
namespace {

// The i-th vector of a block or panel row: its term U of each pair when terms are interleaved, or
// whole pairs (of which U leaves one term and zeroes the other) when the product takes pairs.
template <class V, class T, int U>
[[gnu::always_inline]] inline typename V::F lanes(const T* row, int i) {
    if constexpr (is_dot<T>) {
        return V::template load_pairs<U>(row + 2 * i * V::width);
    } else if constexpr (interleave<T> == 1) {
        return V::widen(row + i * V::width);
    } else {
        return V::template widen_pair<U>(row + 2 * i * V::width);
    }
}

template <class V, class T>
[[gnu::always_inline]] inline void add_one(typename V::F& sum, typename V::F left,
                                           typename V::F right) {
    if constexpr (is_dot<T>) {
        V::add_pairs(sum, left, right);
    } else {
        V::add_product(sum, left, right);
    }
}

// One term of the product, or one pair: acc[r][j] += left[r * LS] * right vector j. The smaller
// operand is kept in registers, the other streams.
template <class V, class T, int U, int MR, int WIDE, int LS>
[[gnu::always_inline]] inline void add_term(typename V::F (&acc)[MR][WIDE * k_lane / V::width],
                                            const float* left, const T* const (&right)[WIDE]) {
    constexpr int in_block = k_lane / V::width;
    constexpr int vectors = WIDE * in_block;
    if constexpr (MR < vectors) {
        typename V::F q[MR];
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r) {
            q[r] = V::set(left[r * LS]);
        }
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
            const auto x = lanes<V, T, U>(right[j / in_block], j % in_block);
#pragma GCC unroll 16
            for (int r = 0; r < MR; ++r) {
                add_one<V, T>(acc[r][j], q[r], x);
            }
        }
    } else {
        typename V::F x[vectors];
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
            x[j] = lanes<V, T, U>(right[j / in_block], j % in_block);
        }
#pragma GCC unroll 16
        for (int r = 0; r < MR; ++r) {
            const auto q = V::set(left[r * LS]);
#pragma GCC unroll 16
            for (int j = 0; j < vectors; ++j) {
                add_one<V, T>(acc[r][j], q, x[j]);
            }
        }
    }
}

// Loads stay on their side of it: mixing two terms' loads costs GCC more registers than there are.
[[gnu::always_inline]] inline void keep_order() {
    asm volatile("" ::: "memory");
}

template <class V, class T, int MR, int WIDE>
void score_blocks(const PackedLayout& layout, const float* q, const void* const* blocks,
                  Fetch fetch, float* scores) {
    constexpr int U = interleave<T>;
    constexpr int in_block = k_lane / V::width;
    typename V::F acc[MR][WIDE * in_block];
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < WIDE * in_block; ++j) {
            acc[r][j] = V::zero();
        }
    }
    const T* k[WIDE];
#pragma GCC unroll 16
    for (int b = 0; b < WIDE; ++b) {
        k[b] = static_cast<const T*>(blocks[b]);
    }

    for (int64_t d = 0; d < layout.head_dim_k; d += U) {
        if constexpr (is_dot<T>) {
            add_term<V, T, k_both, MR, WIDE, k_q_stride>(acc, q + d / 2, k);
        } else {
            add_term<V, T, 0, MR, WIDE, k_q_stride>(acc, q + d, k);
            if constexpr (U == 2) {
                keep_order();
                add_term<V, T, 1, MR, WIDE, k_q_stride>(acc, q + d + 1, k);
            }
        }
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b) {
            fetch.next();
            k[b] += k_lane * U;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < WIDE * in_block; ++j) {
            V::store(scores + r * k_score_stride + j * V::width, acc[r][j]);
        }
    }
}

template <class V, class T, int MR, int WIDE>
[[gnu::always_inline]] inline void weigh_segment(typename V::F (&acc)[MR][WIDE * k_lane / V::width],
                                                 const PackedLayout& layout, const Segment& segment,
                                                 const float* p, int64_t first_panel, Fetch fetch) {
    constexpr int U = interleave<T>;
    constexpr int LS = is_dot<T> ? k_pair_stride : k_score_stride;
    constexpr int words = is_dot<T> ? 1 : U;  // of p for U tokens
    p += is_dot<T> ? (segment.column + segment.lead) / U : segment.column + segment.lead;
    int64_t left = segment.tokens;

    const T* v[WIDE];
#pragma GCC unroll 16
    for (int b = 0; b < WIDE; ++b) {
        v[b] = static_cast<const T*>(segment.v) + (first_panel + b) * layout.v_panel +
               segment.slot / U * (k_lane * U);
    }
    const auto advance = [&v, &fetch] {
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b) {
            fetch.next();
            v[b] += k_lane * U;
        }
    };
    if constexpr (U == 2) {
        if (segment.slot % 2 != 0) {
            add_term<V, T, 1, MR, WIDE, LS>(acc, p, v);
            advance();
            ++p;
            --left;
        }
    }
    for (; left >= U; left -= U, p += words) {
        if constexpr (is_dot<T>) {
            add_term<V, T, k_both, MR, WIDE, LS>(acc, p, v);
        } else {
            add_term<V, T, 0, MR, WIDE, LS>(acc, p, v);
            if constexpr (U == 2) {
                keep_order();
                add_term<V, T, 1, MR, WIDE, LS>(acc, p + 1, v);
            }
        }
        advance();
    }
    if constexpr (U == 2) {
        if (left != 0) {
            add_term<V, T, 0, MR, WIDE, LS>(acc, p, v);
        }
    }
}

template <class V, class T, int MR, int WIDE>
void weigh_panels(const PackedLayout& layout, const Step& step, const float* p, int64_t first_panel,
                  const float* alpha, Share share, float* o, int64_t o_stride) {
    const auto fetch_of = [&](int32_t s) {
        const int64_t tokens = step.segments[s].tokens;
        const int64_t panel_bytes = tokens * k_lane * static_cast<int64_t>(sizeof(T));
        if (share.takes_ahead()) {
            return share.ahead->take(WIDE * panel_bytes, k_row_bytes<T>);
        }
        if (share.own == Half::none || step.next_k[s] == nullptr) {
            return no_fetch(p);
        }
        return share.of(step.next_k[s], first_panel * panel_bytes, WIDE * panel_bytes,
                        k_row_bytes<T>);
    };
    constexpr int vectors = WIDE * k_lane / V::width;
    typename V::F acc[MR][vectors];
    o += first_panel * k_lane;
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
            acc[r][j] = V::zero();
        }
    }
    for (int32_t s = 0; s < step.num_segments; ++s) {
        weigh_segment<V, T, MR, WIDE>(acc, layout, step.segments[s], p, first_panel, fetch_of(s));
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
            // Each step sums by itself: a sum over a long context keeps the error of a short one.
            float* to = o + r * o_stride + j * V::width;
            V::store(to, V::fma(V::load(to), V::set(alpha[r]), acc[r][j]));
        }
    }
}

// How many blocks or panels a tile of MR rows takes at once: as many as V's registers hold, but few
// rows, which wait for memory, read it in the order of addresses (at 4 rows 39 GB/s; two at once
// 36, four 29, but from the caches 42, 55 and 65, measured on a Zen 5).
constexpr int k_in_order = 4;

template <class V, class T, int MR, bool CACHED>
constexpr int wide_of() {
    if (MR <= k_in_order && !CACHED) {
        return 1;
    }
    int wide = V::max_wide;
    while (wide > 1 && MR * wide * (k_lane / V::width) > V::accumulators) {
        wide /= 2;
    }
    return wide;
}

// The products of a tile of so many rows, over a range of a step's blocks or of V's panels; `wide`
// is the range that they like to be multiples of.
template <class V, class T>
struct Products {
    int wide;
    void (*score)(const PackedLayout& layout, const float* q, const Step& step, int64_t begin,
                  int64_t end, Share share, float* scores);
    void (*weigh)(const PackedLayout& layout, const Step& step, const float* p, int64_t begin,
                  int64_t end, const float* alpha, Share share, float* o, int64_t o_stride);
};

template <class V, class T, int MR, bool CACHED>
void score_tile(const PackedLayout& layout, const float* q, const Step& step, int64_t b,
                int64_t end, Share share, float* scores) {
    constexpr int WIDE = wide_of<V, T, MR, CACHED>();
    const auto fetch = [&](int64_t from, int64_t to) {
        const auto begin = reinterpret_cast<intptr_t>(step.next_v[from]);
        const auto last = reinterpret_cast<intptr_t>(step.next_v[to - 1]);
        const int64_t block_bytes = k_lane * layout.head_dim_v * static_cast<int64_t>(sizeof(T));
        if (share.takes_ahead()) {
            return share.ahead->take((to - from) * block_bytes, k_row_bytes<T>);
        }
        if (share.own == Half::none || last - begin != (to - 1 - from) * block_bytes) {
            return no_fetch(q);  // not all of one page
        }
        return share.of(step.next_v[from], 0, (to - from) * block_bytes, k_row_bytes<T>);
    };
    for (; b + WIDE <= end; b += WIDE) {
        score_blocks<V, T, MR, WIDE>(layout, q, step.k_blocks + b, fetch(b, b + WIDE),
                                     scores + b * k_lane);
    }
    if constexpr (WIDE > 1) {
        for (; b < end; ++b) {
            score_blocks<V, T, MR, 1>(layout, q, step.k_blocks + b, fetch(b, b + 1),
                                      scores + b * k_lane);
        }
    }
}

template <class V, class T, int MR, bool CACHED>
void weigh_tile(const PackedLayout& layout, const Step& step, const float* p, int64_t b,
                int64_t end, const float* alpha, Share share, float* o, int64_t o_stride) {
    constexpr int WIDE = wide_of<V, T, MR, CACHED>();
    for (; b + WIDE <= end; b += WIDE) {
        weigh_panels<V, T, MR, WIDE>(layout, step, p, b, alpha, share, o, o_stride);
    }
    if constexpr (WIDE > 1) {
        for (; b < end; ++b) {
            weigh_panels<V, T, MR, 1>(layout, step, p, b, alpha, share, o, o_stride);
        }
    }
}

// Indexed by the rows of the tile; for KV that the caches hold, or do not.
template <class V, class T, bool CACHED>
struct ProductsByRows {
    Products<V, T> of[V::max_rows + 1];

    constexpr ProductsByRows() : of{} { fill<V::max_rows>(); }

    template <int MR>
    constexpr void fill() {
        constexpr bool cached = CACHED && MR <= k_in_order;
        of[MR] = {wide_of<V, T, MR, cached>(), score_tile<V, T, MR, cached>,
                  weigh_tile<V, T, MR, cached>};
        if constexpr (MR > 1) {
            fill<MR - 1>();
        }
    }
};

template <class V, class T, bool CACHED>
constexpr ProductsByRows<V, T, CACHED> products_by_rows;

template <class V, class T>
const Products<V, T>* products_of(int64_t rows, bool cached) {
    return cached ? &products_by_rows<V, T, true>.of[rows]
                  : &products_by_rows<V, T, false>.of[rows];
}

}  // namespace
}  // namespace relayattn::cpu
