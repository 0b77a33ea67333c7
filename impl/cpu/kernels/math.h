// Functions of a vector, written over the vector interface.
//
// The interface of an instruction set V, whose vector type is V::F of V::width float32 lanes:
//   zero set load store add sub mul max fma          fma(a, b, c) = a * b + c
//   select_less(a, b, x, y)                          per lane: a < b ? x : y
//   scale_exponent(p, t)                             p * 2^n for t = n + 1.5 * 2^23
//   fraction(x) scale_floor(p, x)                    x - floor(x) and p * 2^floor(x), if has_scale;
//                                                    0 and 0 at x = -inf
//   hmax hsum                                        over the lanes, in a fixed order
//   widen(p), narrow(p, f)                           V::width elements of float, F16 or Bf16;
//                                                    narrow rounds to nearest even, keeps NaN
//   widen_pair<u>(p)                                 elements u, 2 + u, 4 + u, ... of Bf16
// has_dot tells whether products of bf16 can take pairs, and then there are
//   load_pairs<u>(p)                                 pairs at p; u < 2: one term each beside zeros
//   add_pairs(sum, a, b)                             sum += a0 * b0 + a1 * b1, per lane
//   store_pairs(p, low, high)                        both rounded to bf16, side by side; returns a
//                                                    bit for each pair with a large rest
//   store_split(p, rests, low, high)                 each as the sum of two bf16, side by side
//   rest_of_pair(p, word)                            p[0] and p[1] minus what they were rounded to
//   load_pairs_of(word, p)                           pairs, but 0 where the factor in word is 0
//   has_tiles                                        a unit of tiles, too: V::Tiles (see tiles.h)
//
// And the register budget of its products:
//   max_rows, accumulators, max_wide                 (see products.h)
#pragma once

#include "impl/cpu/kernels/elements.h"

namespace relayattn::cpu {
namespace {

constexpr float k_round_magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer

// The polynomials are minimax fits of (2^x - 1) / x, so that 2^0 is exactly 1.
template <class V, class... Rest>
[[gnu::always_inline]] inline typename V::F polynomial(typename V::F x, float first, Rest... rest) {
    auto p = V::set(first);
    ((p = V::fma(p, x, V::set(rest))), ...);
    return p;
}

// 2^x for x < 128, with relative error 8e-8 where that is a normal number; exactly 0 at x = -inf.
template <class V>
[[gnu::always_inline]] inline typename V::F exp2(typename V::F x) {
    if constexpr (V::has_scale) {  // on [0, 1]
        const auto p = polynomial<V>(V::fraction(x), 0.00021612913f, 0.0012467847f, 0.0096754516f,
                                     0.05548528f, 0.24022931f, 0.69314706f, 1.0f);
        return V::scale_floor(p, x);
    } else {  // on [-1/2, 1/2]
        x = V::max(x, V::set(-127.0f));
        const auto t = V::add(x, V::set(k_round_magic));
        const auto f = V::sub(x, V::sub(t, V::set(k_round_magic)));
        const auto p = polynomial<V>(f, 0.00015353362f, 0.0013398875f, 0.009618437f, 0.055503324f,
                                     0.24022648f, 0.6931472f, 1.0f);
        return V::scale_exponent(p, t);
    }
}

// The same with relative error 3e-6, for results that are rounded to bf16.
template <class V>
[[gnu::always_inline]] inline typename V::F exp2_for_bf16(typename V::F x) {
    const auto p =
        polynomial<V>(V::fraction(x), 0.013426684f, 0.052242476f, 0.2412802f, 0.69304484f, 1.0f);
    return V::scale_floor(p, x);
}

// tanh with a relative error of a few 1e-7, also near 0, where soft-capped scores lie: an odd
// minimax polynomial below 5/8, else 1 - 2 / (e^2x + 1).
template <class V>
[[gnu::always_inline]] inline typename V::F tanh(typename V::F x) {
    const auto magnitude = V::max(x, V::sub(V::zero(), x));
    const auto z = V::mul(x, x);
    auto r = V::fma(V::set(-0.005717044f), z, V::set(0.020650586f));
    r = V::fma(r, z, V::set(-0.053743497f));
    r = V::fma(r, z, V::set(0.13331491f));
    r = V::fma(r, z, V::set(-0.33333284f));
    const auto small = V::fma(V::mul(r, z), x, x);
    // 2^-20 ... is 1 to float32 well before the exponent ends.
    const auto e = exp2<V>(V::max(V::mul(magnitude, V::set(-2 * k_log2_e)), V::set(-100.0f)));
    const auto large = V::div(V::sub(V::set(1.0f), e), V::add(V::set(1.0f), e));
    const auto signed_large = V::select_less(x, V::zero(), V::sub(V::zero(), large), large);
    return V::select_less(magnitude, V::set(0.625f), small, signed_large);
}

template <class V>
[[gnu::always_inline]] inline float exp2_one(float x) {
    float lanes[V::width];
    V::store(lanes, exp2<V>(V::set(x)));
    return lanes[0];
}

}  // namespace
}  // namespace relayattn::cpu
