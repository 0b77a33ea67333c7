// AVX-512 with vdpbf16ps, which multiplies two pairs of bf16 and adds both products to a float32.
// It rounds to nearest even whatever MXCSR says, takes subnormal factors as 0, and so do the
// conversions to bf16: numbers below 2^-126 are lost here, and only here.
#pragma once

#include "impl/cpu/kernels/avx512.h"

namespace relayattn::cpu {
namespace {

struct Avx512Bf16 : Avx512 {
    static constexpr bool has_dot = true;
    static constexpr bool has_tiles = false;

    template <int U>
    static F load_pairs(const void* p) {
        const __m512i x = _mm512_loadu_si512(p);
        const auto half = static_cast<int>(U == 0 ? 0x0000ffff : 0xffff0000);
        return _mm512_castsi512_ps(U == k_both ? x : _mm512_and_si512(x, _mm512_set1_epi32(half)));
    }
    static void add_pairs(F& sum, F a, F b) {
        asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    }
    // The rest, in half units of p's last place, is the lower half of p's bits as a signed number,
    // and what counts as large falls in a line with p's upper half, nearly p's logarithm.
    static uint64_t store_pairs(float* to, F low, F high) {
        const __m512i words = round_pairs(low, high);
        _mm512_storeu_si512(to, words);
        const __m512i halves = _mm512_permutex2var_epi16(_mm512_castps_si512(low), lower_halves(),
                                                         _mm512_castps_si512(high));
        const __m512i size =
            _mm512_slli_epi16(_mm512_subs_epu16(words, _mm512_set1_epi16(k_eighth)), k_slope);
        const __m512i sum = _mm512_adds_epu16(size, _mm512_abs_epi16(halves));
        const __m512i large = _mm512_subs_epu16(sum, _mm512_set1_epi16(k_least));
        return _mm512_test_epi32_mask(large, large);
    }
    // Both as sums of two bf16: the upper halves of their bits, and what those leave.
    static void store_split(float* to, float* rests, F low, F high) {
        const F low_upper = upper_half(low), high_upper = upper_half(high);
        _mm512_storeu_si512(to, round_pairs(low_upper, high_upper));
        _mm512_storeu_si512(rests, round_pairs(sub(low, low_upper), sub(high, high_upper)));
    }
    static F load_pairs_of(F word, const void* p) {
        const __m512i factors = _mm512_castps_si512(word);
        return _mm512_castsi512_ps(
            _mm512_maskz_loadu_epi16(_mm512_test_epi16_mask(factors, factors), p));
    }
    static F rest_of_pair(const float* p, const float* word) {
        const __m128i bits = _mm_loadu_si32(word);
        const __m128 rounded = _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(bits), 16));
        const __m128 rest = _mm_sub_ps(_mm_castsi128_ps(_mm_loadu_si64(p)), rounded);
        return _mm512_castsi512_ps(
            _mm512_broadcastd_epi32(reinterpret_cast<__m128i>(_mm_cvtneps_pbh(rest))));
    }

  private:
    // Upper halves of 1/8, 1/4 and 1 lie 128 and 256 apart. At p = 1/4 rests above 15/16 of what
    // they can be are large, at p = 1 those above 7/16.
    static constexpr short k_eighth = 0x3e00;
    static constexpr int k_slope = 6;
    static constexpr auto k_least = static_cast<short>((0x8000 / 16 * 15) + (128 << k_slope));

    static __m512i lower_halves() {
        alignas(64) static constexpr uint16_t at[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                                        22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42,
                                                        44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
        return _mm512_load_si512(at);
    }
    static F upper_half(F a) {
        return _mm512_and_ps(a,
                             _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(0xffff0000))));
    }
    static __m512i round_pairs(F low, F high) {
        return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    }
};

}  // namespace
}  // namespace relayattn::cpu
