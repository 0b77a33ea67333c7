// What rounding probabilities to bf16 takes from the largest of them, given back.
//
// A product of pairs rounds each probability p to 8 bits. By itself that doubles the variance of a
// bf16 result's error, but much of it comes from few keys: those whose p is not far below the row's
// largest so far, and lies far from what it is rounded to. Their rests, p minus that, are
// multiplied with their rows of V afterwards, one row of scores at a time: what is added depends on
// that row alone.
//
// Which rests are large is for V::store_pairs to say. Errors at llama3-8b on a Zen 5: without any
// 2.21e-3 at (32, 8192, 128) and 2.32e-3 at (8, 4096, 256), as it is 2.12e-3 and 2.15e-3, with all
// rests of p above 3/8, which are twice as many, 2.10e-3 and 2.19e-3.
#pragma once

#include "impl/cpu/kernels/steps.h"
#include "impl/cpu/scratch.h"

namespace relayattn::cpu {
namespace {

constexpr int64_t k_pairs = k_max_columns / 2;  // of a row in a step

// Of a tile in one step: probabilities as float32 and in words of two bf16, and the sums.
struct RoundedRows {
    const float* p;
    const float* words;
    float* o;
    int64_t o_stride;
};

// The pairs of a tile with large rests, as one list: a loop for each row would end in a branch that
// cannot be foretold.
template <int MR>
struct Places {
    uint16_t at[MR * k_pairs + 1];  // row * k_pairs + pair
    int64_t count = 0;

    // A bit in `large` for each pair of a row.
    Places(const uint64_t* large, int64_t rows) {
        static_assert(k_pairs == 64);
        for (int64_t r = 0; r < rows; ++r) {
            uint64_t left = large[r];
            add(r, left | uint64_t{1} << 63);
            count -= left == 0 ? 1 : 0;
            for (left &= left - 1; left != 0; left &= left - 1) {
                add(r, left);
            }
        }
    }

  private:
    [[gnu::always_inline]] void add(int64_t row, uint64_t left) {
        at[count++] = static_cast<uint16_t>(row * k_pairs + __builtin_ctzll(left));
    }
};

// o += rest * V over WIDE panels.
template <class V, bool RAGGED, int WIDE>
[[gnu::always_inline]] inline void add_panels(typename V::F rest, const Bf16* v, int64_t panel,
                                              float* o) {
#pragma GCC unroll 16
    for (int b = 0; b < WIDE; ++b, v += panel, o += k_lane) {
        auto sum = V::load(o);
        if constexpr (RAGGED) {  // half of a pair may hold no token
            V::add_pairs(sum, rest, V::load_pairs_of(rest, v));
        } else {
            V::add_pairs(sum, rest, V::template load_pairs<k_both>(v));
        }
        V::store(o, sum);
    }
}

template <class V, bool RAGGED, int MR>
[[gnu::noinline]] void add_rests(const PackedLayout& layout, const Step& step,
                                 const RoundedRows& rows, const Places<MR>& places) {
    constexpr int64_t in_block = k_lane / 2;
    constexpr int64_t wide = 4;
    const RoundedRows all = rows;
    const int64_t panel = layout.v_panel;
    for (int64_t i = 0; i < places.count; ++i) {
        const int64_t row = places.at[i] / k_pairs;
        const int64_t pair = places.at[i] % k_pairs;
        const auto rest = V::rest_of_pair(all.p + row * k_score_stride + 2 * pair,
                                          all.words + row * k_pair_stride + pair);
        const auto* v =
            static_cast<const Bf16*>(step.v_blocks[pair / in_block]) + pair % in_block * 2 * k_lane;
        float* o = all.o + row * all.o_stride;
        int64_t left = all.o_stride / k_lane;
        for (; left >= wide; left -= wide, v += wide * panel, o += wide * k_lane) {
            add_panels<V, RAGGED, wide>(rest, v, panel, o);
        }
        for (; left > 0; --left, v += panel, o += k_lane) {
            add_panels<V, RAGGED, 1>(rest, v, panel, o);
        }
    }
}

}  // namespace
}  // namespace relayattn::cpu
