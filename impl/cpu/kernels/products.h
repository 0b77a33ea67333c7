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
                acc[r][j] = V::fma(q[r], x, acc[r][j]);
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
                acc[r][j] = V::fma(q, x[j], acc[r][j]);
            }
        }
    }
}

template <class V, class T, int MR, int WIDE>
void score_blocks(const float* q, const void* const* blocks, int64_t head_dim, float* scores) {
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
            add_term<V, T, 1, MR, WIDE, k_q_stride>(acc, q + d + 1, k);
        }
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b) {
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
[[gnu::always_inline]] inline void weigh_segment(
    typename V::F (&acc)[MR][WIDE * k_lane / V::width], const Segment& segment, const float* p,
    int64_t first_panel, int64_t panel_stride) {
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
    const auto advance = [&v] {
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b) {
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
                  const float* alpha, float* o, int64_t o_stride) {
    constexpr int vectors = WIDE * k_lane / V::width;
    typename V::F acc[MR][vectors];
    o += first_panel * k_lane;
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
            acc[r][j] = V::mul(V::load(o + r * o_stride + j * V::width), V::set(alpha[r]));
        }
    }
    for (int32_t s = 0; s < step.num_segments; ++s) {
        weigh_segment<V, T, MR, WIDE>(acc, step.segments[s], p, first_panel, panel_stride);
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) {
            V::store(o + r * o_stride + j * V::width, acc[r][j]);
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

template <class V, class T>
struct Products {
    void (*score)(const float* q, const Step& step, int64_t head_dim, float* scores);
    void (*weigh)(const Step& step, const float* p, const PackedLayout& layout, const float* alpha,
                  float* o, int64_t o_stride);
};

template <class V, class T, int MR>
void score_tile(const float* q, const Step& step, int64_t head_dim, float* scores) {
    constexpr int WIDE = wide_of<V, MR>();
    const int64_t blocks = step.columns / k_lane;
    int64_t b = 0;
    for (; b + WIDE <= blocks; b += WIDE) {
        score_blocks<V, T, MR, WIDE>(q, step.k_blocks + b, head_dim, scores + b * k_lane);
    }
    if constexpr (WIDE > 1) {
        for (; b < blocks; ++b) {
            score_blocks<V, T, MR, 1>(q, step.k_blocks + b, head_dim, scores + b * k_lane);
        }
    }
}

template <class V, class T, int MR>
void weigh_tile(const Step& step, const float* p, const PackedLayout& layout, const float* alpha,
                float* o, int64_t o_stride) {
    constexpr int WIDE = wide_of<V, MR>();
    const int64_t panels = round_up(layout.head_dim_v, k_lane) / k_lane;
    int64_t b = 0;
    for (; b + WIDE <= panels; b += WIDE) {
        weigh_panels<V, T, MR, WIDE>(step, p, b, layout.v_panel, alpha, o, o_stride);
    }
    if constexpr (WIDE > 1) {
        for (; b < panels; ++b) {
            weigh_panels<V, T, MR, 1>(step, p, b, layout.v_panel, alpha, o, o_stride);
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
        of[MR] = {score_tile<V, T, MR>, weigh_tile<V, T, MR>};
        if constexpr (MR > 1) {
            fill<MR - 1>();
        }
    }
};

template <class V, class T>
constexpr ProductsByRows<V, T> products_by_rows;

}  // namespace
}  // namespace relayattn::cpu
