#include "dtype.h"

#include <relayattn/relayattn.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace relayattn::test {
namespace {

uint16_t bf16_bits(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if (std::isnan(value))
        return 0x7fc0;
    return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float bf16_value(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t f16_bits(float value) {
    const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
    const float size = std::fabs(value);
    if (std::isnan(value))
        return 0x7e00;
    if (size >= 65520)  // halfway between the largest finite value and the next power of two
        return static_cast<uint16_t>(sign | 0x7c00);
    if (size < 0x1p-14F)  // subnormal: a multiple of 2^-24
        return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(size * 0x1p24F)));
    const auto bits = std::bit_cast<uint32_t>(size);
    const uint32_t nearest = (bits + 0xfff + ((bits >> 13) & 1)) >> 13;
    return static_cast<uint16_t>(sign | (nearest - (112U << 10)));
}

float f16_value(uint16_t bits) {
    const int exponent = (bits >> 10) & 31;
    const int fraction = bits & 1023;
    const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
    if (exponent == 31)
        return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * std::ldexp(static_cast<float>(fraction), -24);
    return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

}  // namespace

int64_t size_of(int32_t dtype) {
    return dtype == RA_F32 ? 4 : 2;
}

const char* name_of(int32_t dtype) {
    return dtype == RA_F32 ? "f32" : dtype == RA_F16 ? "f16" : "bf16";
}

float rounded(float value, int32_t dtype) {
    if (dtype == RA_F16)
        return f16_value(f16_bits(value));
    return dtype == RA_BF16 ? bf16_value(bf16_bits(value)) : value;
}

double half_ulp(int32_t dtype) {
    return dtype == RA_F32 ? 0x1p-24 : dtype == RA_F16 ? 0x1p-11 : 0x1p-8;
}

void encode(const float* values, int64_t count, int32_t dtype, void* out) {
    if (dtype == RA_F32 && count > 0) {
        std::memcpy(out, values, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    auto* bytes = static_cast<char*>(out);
    for (int64_t i = 0; i < count; ++i) {
        const uint16_t bits = dtype == RA_F16 ? f16_bits(values[i]) : bf16_bits(values[i]);
        std::memcpy(bytes + 2 * i, &bits, sizeof bits);
    }
}

void decode(const void* bytes, int64_t count, int32_t dtype, float* out) {
    if (dtype == RA_F32 && count > 0) {
        std::memcpy(out, bytes, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        uint16_t bits = 0;
        std::memcpy(&bits, static_cast<const char*>(bytes) + 2 * i, sizeof bits);
        out[i] = dtype == RA_F16 ? f16_value(bits) : bf16_value(bits);
    }
}

}  // namespace relayattn::test
