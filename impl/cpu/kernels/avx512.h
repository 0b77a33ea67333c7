// The vector of the AVX-512 sets: F, BW, VL, DQ; sixteen lanes, thirty-two registers.
#pragma once

#ifdef __clang__
#include <immintrin.h>
#else  // GCC 12 warns about its own "undefined" vectors there.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "impl/cpu/kernels/elements.h"

namespace relayattn::cpu {
namespace {

struct Avx512 {
    using F = __m512;
    static constexpr bool has_dot = false;
    static constexpr bool has_scale = true;
    static constexpr int width = 16;
    static constexpr int max_rows = 12;
    static constexpr int accumulators = 24;
    static constexpr int max_wide = 4;

    static F zero() { return _mm512_setzero_ps(); }
    static F set(float x) { return _mm512_set1_ps(x); }
    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F div(F a, F b) { return _mm512_div_ps(a, b); }
    static F max(F a, F b) { return _mm512_max_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    // The intrinsic lets GCC move sums between registers, and then it spills them.
    static void add_product(F& sum, F a, F b) {
        asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    }
    static F select_less(F a, F b, F x, F y) {
        return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
    }
    static F fraction(F a) {
        return _mm512_reduce_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }
    static F scale_floor(F p, F a) { return _mm512_scalef_ps(p, a); }
    static float hmax(F a) { return _mm512_reduce_max_ps(a); }
    // Lane r is the largest lane of row r.
    static F hmax_each(const F (&rows)[width]) {
        F fours[4];  // four rows each, side by side in every quarter
        for (int i = 0; i < 4; ++i) {
            fours[i] = side_by_side(max_of_halves(rows[4 * i], rows[4 * i + 1]),
                                    max_of_halves(rows[4 * i + 2], rows[4 * i + 3]));
        }
        return max_of_quarters(max_of_quarters(fours[0], fours[1]),
                               max_of_quarters(fours[2], fours[3]));
    }
    static float hsum(F a) { return _mm512_reduce_add_ps(a); }

    static F widen(const float* p) { return load(p); }
    static F widen(const F16* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static F widen(const Bf16* p) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
    }
    template <int U>
    static F widen_pair(const Bf16* p) {
        const __m512i x = _mm512_loadu_si512(p);
        return _mm512_castsi512_ps(
            U == 0 ? _mm512_slli_epi32(x, 16)
                   : _mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
    }

    static void narrow(float* p, F a) { store(p, a); }
    static void narrow(F16* p, F a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }
    static void narrow(Bf16* p, F a) {
        const __m512i x = _mm512_castps_si512(a);
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(x, 16), _mm512_set1_epi32(1));
        const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
        const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
        const __m512i bits =
            _mm512_mask_or_epi32(_mm512_add_epi32(x, half), nan, x, _mm512_set1_epi32(0x400000));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
    }

  private:
    // In every quarter: a, b, a, b, the larger of its lanes 0 and 2, then of 1 and 3.
    static F max_of_halves(F a, F b) {
        return max(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    // In every quarter: a, b of `ab`, then of `cd`.
    static F side_by_side(F ab, F cd) {
        const __m512d x = _mm512_castps_pd(ab), y = _mm512_castps_pd(cd);
        return max(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                   _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    }
    // The larger of the quarters 0 and 1, and of 2 and 3, of a; then those of b.
    static F max_of_quarters(F a, F b) {
        return max(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    }
};

}  // namespace
}  // namespace relayattn::cpu
