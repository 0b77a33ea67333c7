#include <immintrin.h>
#include <relayattn/relayattn.h>

#include "rates.h"

namespace relayattn::bench {
namespace {

double multiply_pairs(int64_t rounds) {
    constexpr int chains = 12;
    __m512 sums[chains] = {};
    __m512i a{}, b{};
    asm volatile("" : "+m"(a), "+m"(b));
    for (int64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < chains; ++i)
            sums[i] = _mm512_dpbf16_ps(sums[i], reinterpret_cast<__m512bh>(a),
                                       reinterpret_cast<__m512bh>(b));
    }
    for (int i = 0; i < chains; ++i)
        asm volatile("" : : "m"(sums[i]));
    return 2.0 * 32 * chains * static_cast<double>(rounds);
}

}  // namespace

const InstructionRate k_avx512_bf16_rate{
    "avx512_bf16",  RA_ISA_AVX512_BF16,
    RA_BF16,        [] { return __builtin_cpu_supports("avx512bf16") != 0; },
    multiply_pairs, nullptr};

}  // namespace relayattn::bench
