// AVX2 with FMA and F16C: eight lanes, sixteen registers.
#include <immintrin.h>

#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {
namespace {

struct Avx2 {
    using F = __m256;
    static constexpr bool has_dot = false;
    static constexpr bool has_scale = false;
    static constexpr int width = 8;
    static constexpr int max_rows = 6;
    static constexpr int accumulators = 10;
    static constexpr int max_wide = 2;

    static F zero() { return _mm256_setzero_ps(); }
    static F set(float x) { return _mm256_set1_ps(x); }
    static F load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, F a) { _mm256_storeu_ps(p, a); }
    static F add(F a, F b) { return _mm256_add_ps(a, b); }
    static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
    static F div(F a, F b) { return _mm256_div_ps(a, b); }
    static F max(F a, F b) { return _mm256_max_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
    // The intrinsic lets GCC move sums between registers, and then it spills them.
    static void add_product(F& sum, F a, F b) {
        asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    }
    static F select_less(F a, F b, F x, F y) {
        return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
    }
    static F scale_exponent(F p, F t) {
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p),
                                                    _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
    }
    static float hmax(F a) {
        __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        x = _mm_max_ps(x, _mm_movehl_ps(x, x));
        return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
    }
    static float hsum(F a) {
        __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
    }

    static F widen(const float* p) { return load(p); }
    static F widen(const F16* p) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static F widen(const Bf16* p) {
        const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
    }
    template <int U>
    static F widen_pair(const Bf16* p) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        return _mm256_castsi256_ps(
            U == 0 ? _mm256_slli_epi32(x, 16)
                   : _mm256_and_si256(x, _mm256_set1_epi32(static_cast<int>(0xffff0000))));
    }

    static void narrow(float* p, F a) { store(p, a); }
    static void narrow(F16* p, F a) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }
    static void narrow(Bf16* p, F a) {
        const __m256i x = _mm256_castps_si256(a);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(x, 16), _mm256_set1_epi32(1));
        const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
        const __m256i quiet = _mm256_or_si256(x, _mm256_set1_epi32(0x400000));
        const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
        const __m256i bits = _mm256_blendv_epi8(_mm256_add_epi32(x, half), quiet, nan);
        const __m256i high = _mm256_srli_epi32(bits, 16);
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(p),
            _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)));
    }
};

}  // namespace

constexpr KernelTable k_avx2_kernels = kernels_of<Avx2>;

}  // namespace relayattn::cpu
