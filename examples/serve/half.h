#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace serve {

inline float bf16_to_float(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline float f16_to_float(uint16_t bits) {
    const uint32_t sign = (bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu;
    const uint32_t fraction = bits & 0x3ffu;
    if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
        const float value = std::ldexp(static_cast<float>(fraction), -24);
        return sign != 0 ? -value : value;
    }
    const uint32_t wide = exponent == 31 ? 0xffu : exponent + 112u;
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// Round to nearest, ties to even. Values here are finite; those beyond float16's range become
// infinite.
inline uint16_t float_to_bf16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline uint16_t float_to_f16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
    const float size = std::fabs(value);
    if (size >= 65520.0f)
        return static_cast<uint16_t>(sign | 0x7c00u);
    if (size < 6.103515625e-05f)  // subnormal: a multiple of 2^-24, rounded by nearbyint
        return static_cast<uint16_t>(sign |
                                     static_cast<uint16_t>(std::nearbyint(std::ldexp(size, 24))));
    const uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + (bits >> 13 & 1u);
    return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

inline void narrow_values(const float* from, int64_t count, bool to_bf16, uint16_t* out) {
    for (int64_t i = 0; i < count; ++i)
        out[i] = to_bf16 ? float_to_bf16(from[i]) : float_to_f16(from[i]);
}

}  // namespace serve
