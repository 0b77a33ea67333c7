// The two loops, over the compiler's vectors of some width. Static, because every including file is
// built for another instruction set and must not share one copy.
#pragma once

#include <cstddef>
#include <cstdint>

namespace relayattn::bench {

// 12 chains hide the latency of any core's two multiply-add units.
template <class Floats>
static double multiply_vectors(int64_t rounds) {
    constexpr int chains = 12;
    Floats sums[chains] = {};
    Floats factor = {}, term = {};
    // Opaque to the compiler, which could else compute the result itself.
    asm volatile("" : "+m"(factor), "+m"(term));
    for (int64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < chains; ++i)
            sums[i] = sums[i] * factor + term;
    }
    for (int i = 0; i < chains; ++i)
        asm volatile("" : : "m"(sums[i]));
    constexpr int64_t flops_a_round = 2 * chains * static_cast<int64_t>(sizeof(Floats) / 4);
    return static_cast<double>(flops_a_round * rounds);
}

// Four streams at once: one alone is a few per cent slower on some machines.
template <class Words>
static uint64_t read_vectors(const void* data, int64_t size) {
    constexpr int64_t streams = 4;
    const auto* vectors = static_cast<const Words*>(data);
    const int64_t each = size / static_cast<int64_t>(sizeof(Words)) / streams;
    Words found[streams] = {};
    for (int64_t i = 0; i < each; ++i) {
        for (int64_t j = 0; j < streams; ++j)
            found[j] ^= vectors[j * each + i];
    }
    const Words all = found[0] ^ found[1] ^ found[2] ^ found[3];
    uint64_t result = 0;
    for (size_t i = 0; i < sizeof(Words) / 8; ++i)
        result ^= all[i];
    return result;
}

}  // namespace relayattn::bench
