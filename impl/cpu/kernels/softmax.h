// One row of scores: soft cap, ALiBi, mask, and the online softmax (Milakov and Gimelshein 2018)
// that turns scores into unnormalised probabilities in place. All in log2 units.
#pragma once

#include "impl/cpu/kernels/math.h"
#include "impl/cpu/kernels/rest.h"

namespace relayattn::cpu {
namespace {

template <class V>
inline void scale_row(float* scores, int64_t columns, float factor) {
    for (int64_t c = 0; c < columns; c += V::width) {
        V::store(scores + c, V::mul(V::load(scores + c), V::set(factor)));
    }
}

template <class V>
inline void cap_row(float* scores, int64_t columns, float cap) {
    for (int64_t c = 0; c < columns; c += V::width) {
        V::store(scores + c, V::mul(V::set(cap), tanh<V>(V::load(scores + c))));
    }
}

// scores -= slope * |key position - query position|
template <class V>
inline void add_alibi(const Step& step, float* scores, float slope, int32_t position) {
    float iota[V::width];
    for (int i = 0; i < V::width; ++i) {
        iota[i] = static_cast<float>(i);
    }
    for (int32_t s = 0; s < step.num_segments; ++s) {
        const Segment& seg = step.segments[s];
        auto distance =
            V::add(V::load(iota), V::set(static_cast<float>(seg.position - seg.lead - position)));
        for (int64_t c = seg.column; c < seg.end_column; c += V::width) {
            const auto far = V::max(distance, V::sub(V::zero(), distance));
            V::store(scores + c, V::fma(V::set(-slope), far, V::load(scores + c)));
            distance = V::add(distance, V::set(static_cast<float>(V::width)));
        }
    }
}

inline void hide(float* scores, int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
        scores[c] = -k_infinity;
    }
}

inline int32_t clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

// Hides the columns that hold no key, or whose key lies outside [begin, end). Scores there may be
// NaN: they are overwritten, not added to.
inline void hide_outside(const Step& step, float* scores, int32_t begin, int32_t end) {
    for (int32_t s = 0; s < step.num_segments; ++s) {
        const Segment& seg = step.segments[s];
        const int32_t first = seg.column + seg.lead;
        const int32_t from = first + clamp(begin - seg.position, 0, seg.tokens);
        const int32_t to = first + clamp(end - seg.position, 0, seg.tokens);
        hide(scores, seg.column, from);
        hide(scores, to > from ? to : from, seg.end_column);
    }
}

// Hides the new tokens (those at new_begin and after) whose bit in the tree mask is not set.
inline void hide_branches(const Step& step, float* scores, const uint8_t* bits, int32_t new_begin,
                          int32_t end) {
    for (int32_t s = 0; s < step.num_segments; ++s) {
        const Segment& seg = step.segments[s];
        const int32_t from = clamp(new_begin, seg.position, seg.position + seg.tokens);
        const int32_t to = clamp(end, seg.position, seg.position + seg.tokens);
        for (int32_t p = from; p < to; ++p) {
            const int32_t j = p - new_begin;
            if ((bits[j / 8] >> (j % 8) & 1) == 0) {
                scores[seg.column + seg.lead + p - seg.position] = -k_infinity;
            }
        }
    }
}

// Stores p of all columns: as float32 and, when T's product takes pairs, in words of two bf16. Then
// `large` gets a bit for each pair with a large rest.
template <class V, class T, class P>
[[gnu::always_inline]] inline void store_all(float* scores, float* words, uint64_t& large,
                                             int64_t columns, P p_at) {
    int64_t c = 0;
    if constexpr (is_dot<T>) {
        uint64_t bits = 0;
        for (; c + 2 * V::width <= columns; c += 2 * V::width) {
            const auto low = p_at(c);
            const auto high = p_at(c + V::width);
            V::store(scores + c, low);
            V::store(scores + c + V::width, high);
            bits |= V::store_pairs(words + c / 2, low, high) << (c / 2);
        }
        if (c < columns) {
            const auto low = p_at(c);
            V::store(scores + c, low);
            bits |= V::store_pairs(words + c / 2, low, V::zero()) << (c / 2);
        }
        large = bits;
    } else {
        for (; c < columns; c += V::width) {
            V::store(scores + c, p_at(c));
        }
    }
}

// In lanes.
template <class V>
inline typename V::F lanes_top(const float* scores, int64_t columns) {
    auto top = V::load(scores);
    auto other = top;  // two chains
    int64_t c = V::width;
    for (; c + 2 * V::width <= columns; c += 2 * V::width) {
        top = V::max(top, V::load(scores + c));
        other = V::max(other, V::load(scores + c + V::width));
    }
    for (; c < columns; c += V::width) {
        top = V::max(top, V::load(scores + c));
    }
    return V::max(top, other);
}

template <class V>
inline float top_of(const float* scores, int64_t columns) {
    return V::hmax(lanes_top<V>(scores, columns));
}

// The references of a tile's exponents in a step: m becomes the larger of itself and factor * top.
// A row that has seen no key yet keeps m = -inf and sums of 0. Rows lie in lanes.
template <class V, int MR>
struct Levels {
    static constexpr int lanes = (MR + V::width - 1) / V::width * V::width;
    alignas(64) float tops[lanes];   // largest scores of the step; of lanes that are no row, -inf
    alignas(64) float bases[lanes];  // what is subtracted, never infinite
    alignas(64) float alpha[lanes];  // what earlier sums are multiplied by

    [[gnu::always_inline]] void raise(float* m, float factor) {
        for (int r = 0; r < lanes; r += V::width) {
            const auto before = V::load(m + r);
            // In this order a NaN among the scores leaves m as it is.
            const auto after = V::max(V::mul(V::load(tops + r), V::set(factor)), before);
            const auto base = V::max(after, V::set(-0x1p127f));
            V::store(alpha + r, exp2<V>(V::sub(before, base)));
            V::store(bases + r, base);
            V::store(m + r, after);
        }
    }
};

// scores become 2^(factor * score - base); l holds the sum in lanes. `factor` is 1 unless T's
// product takes pairs.
template <class V, class T>
inline void softmax_row(float* scores, float* words, uint64_t& large, int64_t columns, float factor,
                        float base, float alpha, float* l) {
    const auto shift = V::set(-base);
    const auto slope = V::set(factor);
    auto sum = V::mul(V::load(l), V::set(alpha));
    store_all<V, T>(scores, words, large, columns, [&](int64_t c) {
        const auto score = V::load(scores + c);
        typename V::F p;
        if constexpr (is_dot<T>) {
            p = exp2_for_bf16<V>(V::fma(score, slope, shift));
        } else {
            p = exp2<V>(V::add(score, shift));
        }
        sum = V::add(sum, p);
        return p;
    });
    V::store(l, sum);
}

// From a row's words of rounded-off probabilities to those of what is missing.
constexpr int64_t k_rest_words = k_max_columns / 2;

// The same for probabilities that are split into two bf16: words of each lie in place of the
// scores. N vectors of words; when `odd`, the last one's upper half stands for no column.
template <class V, int N>
[[gnu::noinline]] void softmax_split(float* scores, bool odd, float factor, float base, float alpha,
                                     float* l) {
    typename V::F p[2 * N];
    auto sum = V::mul(V::load(l), V::set(alpha));
#pragma GCC unroll 8
    for (int i = 0; i < 2 * N; ++i) {
        p[i] = V::zero();
        if (i + 1 < 2 * N || !odd) {
            p[i] = exp2_for_bf16<V>(
                V::fma(V::load(scores + i * V::width), V::set(factor), V::set(-base)));
        }
        sum = V::add(sum, p[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
        float* words = scores + i * V::width;
        V::store_split(words, words + k_rest_words, p[2 * i], p[2 * i + 1]);
    }
    V::store(l, sum);
}

template <class V>
inline void softmax_split_row(float* scores, int64_t columns, float factor, float base, float alpha,
                              float* l) {
    static_assert(k_max_columns == 8 * V::width);
    const bool odd = columns / V::width % 2 != 0;
    switch ((columns / V::width + 1) / 2) {
        case 4:
            return softmax_split<V, 4>(scores, odd, factor, base, alpha, l);
        case 3:
            return softmax_split<V, 3>(scores, odd, factor, base, alpha, l);
        case 2:
            return softmax_split<V, 2>(scores, odd, factor, base, alpha, l);
        default:
            return softmax_split<V, 1>(scores, odd, factor, base, alpha, l);
    }
}

}  // namespace
}  // namespace relayattn::cpu
