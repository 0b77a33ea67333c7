// The two products, as register-blocked micro-kernels over a tile of MR rows: scores = q K^T of
// WIDE blocks at once, and o = alpha o + P V of WIDE panels at once.
//
// Every sum has one accumulator per (row, column), added to in the order of its terms. A row's
// result is therefore the same in a tile of any height: batch-invariant plans rest on it.
#pragma once

#include "impl/cpu/kernels/steps.h"
#include "impl/cpu/scratch.h"

namespace relayattn::cpu {
namespace {

// The i-th vector of a block or panel row: its term u of each pair when terms are interleaved.
template <class V, class T, int U>
[[gnu::always_inline]] inline typename V::F lanes(const T* row, int i) {
    if constexpr (interleave<T> == 1) {
        return V::widen(row + i * V::width);
    } else {
        return V::template widen_pair<U>(row + 2 * i * V::width);
    }
}

// One term of the product: acc[r][j] += left[r * LS] * right vector j. The smaller operand is kept
// in registers, the other streams.
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
                V::add_product(acc[r][j], q[r], x);
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
                V::add_product(acc[r][j], q, x[j]);
            }
        }
    }
}

// Loads stay on their side of it: mixing two terms' loads costs GCC more registers than there are.
[[gnu::always_inline]] inline void keep_order() {
    asm volatile("" ::: "memory");
}

// Into L2: a step is too large for L1. At distance 0, when there is nothing to fetch, it is the
// line being read.
[[gnu::always_inline]] inline void prefetch(const void* line, int64_t ahead) {
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<intptr_t>(line) + ahead), 0,
                       2);
}

template <class V, class T, int MR, int WIDE>
void score_blocks(const float* q, const void* const* blocks, int64_t ahead, int64_t head_dim,
                  float* scores) {
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
    for (int64_t d = 0; d < head_dim; d += U) {
        add_term<V, T, 0, MR, WIDE, k_q_stride>(acc, q + d, k);
        if constexpr (U == 2) {
            keep_order();
            add_term<V, T, 1, MR, WIDE, k_q_stride>(acc, q + d + 1, k);
        }
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b) {
            prefetch(k[b], ahead);
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
                                                 const Segment& segment, const float* p,
                                                 int64_t first_panel, int64_t panel_stride,
                                                 int64_t ahead) {
    constexpr int U = interleave<T>;
    constexpr int LS = k_score_stride;
    p += segment.column + segment.lead;
    int64_t left = segment.tokens;
    const T* v[WIDE];
#pragma GCC unroll 16
    for (int b = 0; b < WIDE; ++b) {
        v[b] = static_cast<const T*>(segment.v) + (first_panel + b) * panel_stride +
               segment.slot / U * (k_lane * U);
    }
    const auto advance = [&v, ahead] {
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b) {
            prefetch(v[b], ahead);
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
    for (; left >= U; left -= U, p += U) {
        add_term<V, T, 0, MR, WIDE, LS>(acc, p, v);
        if constexpr (U == 2) {
            keep_order();
            add_term<V, T, 1, MR, WIDE, LS>(acc, p + 1, v);
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
void weigh_panels(const Step& step, const float* p, int64_t first_panel, int64_t panel_stride,
                  const float* alpha, bool first, float* o, int64_t o_stride) {
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
        weigh_segment<V, T, MR, WIDE>(acc, step.segments[s], p, first_panel, panel_stride,
                                      first ? step.k_ahead[s] : 0);
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

// How many blocks or panels a tile of MR rows takes at once: as many as V's registers hold, because
// few rows need them for enough independent sums.
template <class V, int MR>
constexpr int wide_of() {
    int wide = V::max_wide;
    while (wide > 1 && MR * wide * (k_lane / V::width) > V::accumulators) {
        wide /= 2;
    }
    return wide;
}

// The products of a tile of so many rows, over a range of a step's blocks or of V's panels; `wide`
// is the range that they like to be multiples of. `first`: the first tile of a step, which brings
// it into the caches.
template <class V, class T>
struct Products {
    int wide;
    void (*score)(const float* q, const Step& step, int64_t begin, int64_t end, bool first,
                  int64_t head_dim, float* scores);
    void (*weigh)(const Step& step, const float* p, int64_t begin, int64_t end,
                  int64_t panel_stride, const float* alpha, bool first, float* o, int64_t o_stride);
};

template <class V, class T, int MR>
void score_tile(const float* q, const Step& step, int64_t b, int64_t end, bool first,
                int64_t head_dim, float* scores) {
    constexpr int WIDE = wide_of<V, MR>();
    const auto ahead = [&](int64_t from, int64_t to) {  // if all lie in one page
        return first && step.v_ahead[from] == step.v_ahead[to - 1] ? step.v_ahead[from] : 0;
    };
    for (; b + WIDE <= end; b += WIDE) {
        score_blocks<V, T, MR, WIDE>(q, step.k_blocks + b, ahead(b, b + WIDE), head_dim,
                                     scores + b * k_lane);
    }
    if constexpr (WIDE > 1) {
        for (; b < end; ++b) {
            score_blocks<V, T, MR, 1>(q, step.k_blocks + b, ahead(b, b + 1), head_dim,
                                      scores + b * k_lane);
        }
    }
}

template <class V, class T, int MR>
void weigh_tile(const Step& step, const float* p, int64_t b, int64_t end, int64_t panel_stride,
                const float* alpha, bool first, float* o, int64_t o_stride) {
    constexpr int WIDE = wide_of<V, MR>();
    for (; b + WIDE <= end; b += WIDE) {
        weigh_panels<V, T, MR, WIDE>(step, p, b, panel_stride, alpha, first, o, o_stride);
    }
    if constexpr (WIDE > 1) {
        for (; b < end; ++b) {
            weigh_panels<V, T, MR, 1>(step, p, b, panel_stride, alpha, first, o, o_stride);
        }
    }
}

// Indexed by the rows of the tile.
template <class V, class T>
struct ProductsByRows {
    Products<V, T> of[V::max_rows + 1];

    constexpr ProductsByRows() : of{} { fill<V::max_rows>(); }

    template <int MR>
    constexpr void fill() {
        of[MR] = {wide_of<V, MR>(), score_tile<V, T, MR>, weigh_tile<V, T, MR>};
        if constexpr (MR > 1) {
            fill<MR - 1>();
        }
    }
};

template <class V, class T>
constexpr ProductsByRows<V, T> products_by_rows;

}  // namespace
}  // namespace relayattn::cpu
