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
    static uint32_t store_pairs(float* to, F low, F high, float least) {
        const __m512i words = round_pairs(low, high);
        _mm512_storeu_si512(to, words);
        // Positive numbers are in the order of their bits.
        const auto bits = static_cast<short>(__builtin_bit_cast(uint32_t, least) >> 16);
        return _mm512_cmpge_epu16_mask(words, _mm512_set1_epi16(bits));
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
    static __m512i round_pairs(F low, F high) {
        return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    }
};

}  // namespace
}  // namespace relayattn::cpu
