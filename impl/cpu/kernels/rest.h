// What rounding probabilities to bf16 takes from the largest of them, given back.
//
// A product of pairs rounds each probability p to 8 bits. By itself that doubles the variance of a
// bf16 result's error, but much of it comes from few keys: those whose p is not far below the row's
// largest. Their rests, p minus what it was rounded to, are multiplied with their rows of V
// afterwards, one row of scores at a time: what is added depends on that row alone.
#pragma once

#include "impl/cpu/kernels/steps.h"
#include "impl/cpu/scratch.h"

namespace relayattn::cpu {
namespace {

// Of the row's largest probability so far. Error and time at llama3-8b (32, 8192, 128) on a Zen 5:
// none 2.21e-3 and 5.8 ms, 1/2 2.13e-3 and 5.8 ms, 1/4 2.03e-3 and 6.6 ms; none is 2.32e-3 at
// (8, 4096, 256).
constexpr float k_least_large = 0.375f;

// The probabilities of one row in one step: as float32, in words of two bf16, and which are large.
struct RoundedRow {
    const float* p;
    const float* words;
    const uint32_t* large;  // a bit for each of k_max_columns columns
};

// A bit for each of 32 pairs, at even places.
inline uint64_t pairs_of(const uint32_t* large) {
    const uint64_t columns = uint64_t{large[1]} << 32 | large[0];
    return (columns | columns >> 1) & 0x5555555555555555u;
}

// o += rest * V for the pairs of large probabilities, over WIDE panels.
template <class V, int WIDE, bool RAGGED>
inline void add_rests_of(const PackedLayout& layout, const Step& step, const RoundedRow& row,
                         int64_t first_panel, float* o) {
    typename V::F acc[WIDE];
#pragma GCC unroll 16
    for (int b = 0; b < WIDE; ++b) {
        acc[b] = V::load(o + (first_panel + b) * k_lane);
    }
    const int64_t panel = layout.v_panel;
    // One loop for all pairs of the step: its end is a branch that cannot be foretold.
    static_assert(k_max_columns == 128);
    uint64_t pairs = pairs_of(row.large) | pairs_of(row.large + 2) << 1;
    for (; pairs != 0; pairs &= pairs - 1) {
        const int64_t bit = __builtin_ctzll(pairs);
        const int64_t c = (bit & ~1) + (bit & 1) * 64;
        const auto rest = V::rest_of_pair(row.p + c, row.words + c / 2);
        const auto* v = static_cast<const Bf16*>(step.v_blocks[c / k_lane]) + first_panel * panel +
                        c % k_lane * k_lane;
#pragma GCC unroll 16
        for (int b = 0; b < WIDE; ++b, v += panel) {
            if constexpr (RAGGED) {  // half of a pair may hold no token
                V::add_pairs(acc[b], rest, V::load_pairs_of(rest, v));
            } else {
                V::add_pairs(acc[b], rest, V::template load_pairs<k_both>(v));
            }
        }
    }
#pragma GCC unroll 16
    for (int b = 0; b < WIDE; ++b) {
        V::store(o + (first_panel + b) * k_lane, acc[b]);
    }
}

template <class V, bool RAGGED>
inline void add_rests(const PackedLayout& layout, const Step& step, const RoundedRow& row,
                      float* o) {
    constexpr int wide = 8;
    const int64_t panels = round_up(layout.head_dim_v, k_lane) / k_lane;
    int64_t b = 0;
    for (; b + wide <= panels; b += wide) {
        add_rests_of<V, wide, RAGGED>(layout, step, row, b, o);
    }
    for (; b < panels; ++b) {
        add_rests_of<V, 1, RAGGED>(layout, step, row, b, o);
    }
}

}  // namespace
}  // namespace relayattn::cpu
