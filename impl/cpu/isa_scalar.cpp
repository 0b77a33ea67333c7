// The portable set: plain C++, one lane. Every other set is tested against the same reference as
// this one.
#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {
namespace {

uint32_t bits_of(float f) {
    return __builtin_bit_cast(uint32_t, f);
}
float float_of(uint32_t bits) {
    return __builtin_bit_cast(float, bits);
}

float widen_f16(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
    const uint32_t rest = h & 0x7fff;
    if (rest >= 0x7c00) {  // infinity, NaN
        return float_of(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    }
    // The exponents of both formats differ by 112; multiplying also normalises subnormals.
    return float_of(sign | bits_of(float_of(rest << 13) * 0x1p112f));
}

// Rounds the last `drop` bits of a magnitude to nearest, ties to even.
uint32_t round_bits(uint32_t magnitude, int drop) {
    const uint32_t half = (1u << (drop - 1)) - 1;
    return (magnitude + half + (magnitude >> drop & 1)) >> drop;
}

uint16_t narrow_f16(float f) {
    const uint32_t sign = bits_of(f) >> 16 & 0x8000;
    const uint32_t magnitude = bits_of(f) & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        return static_cast<uint16_t>(sign | 0x7e00);
    }
    if (magnitude >= 0x477ff000) {  // 65520 and above round to infinity
        return static_cast<uint16_t>(sign | 0x7c00);
    }
    if (magnitude < 0x38800000) {  // below 2^-14: adding 1/2 rounds at the subnormal's last bit
        return static_cast<uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000));
    }
    return static_cast<uint16_t>(sign | round_bits(magnitude - (112u << 23), 13));
}

uint16_t narrow_bf16(float f) {
    if (f != f) {
        return static_cast<uint16_t>(bits_of(f) >> 16 | 0x40);
    }
    return static_cast<uint16_t>(round_bits(bits_of(f), 16));
}

struct Scalar {
    using F = float;
    static constexpr bool has_dot = false;
    static constexpr bool has_scale = false;
    static constexpr int width = 1;
    static constexpr int max_rows = 2;
    static constexpr int accumulators = 16;
    static constexpr int max_wide = 1;

    static F zero() { return 0; }
    static F set(float x) { return x; }
    static F load(const float* p) { return *p; }
    static void store(float* p, F a) { *p = a; }
    static F add(F a, F b) { return a + b; }
    static F sub(F a, F b) { return a - b; }
    static F mul(F a, F b) { return a * b; }
    static F div(F a, F b) { return a / b; }
    static F max(F a, F b) { return a > b ? a : b; }
    static F fma(F a, F b, F c) { return a * b + c; }
    static void add_product(F& sum, F a, F b) { sum = a * b + sum; }
    static F select_less(F a, F b, F x, F y) { return a < b ? x : y; }
    static F scale_exponent(F p, F t) { return float_of(bits_of(p) + (bits_of(t) << 23)); }
    static float hmax(F a) { return a; }
    static float hsum(F a) { return a; }
    static F widen(const float* p) { return *p; }
    static F widen(const F16* p) { return widen_f16(p->bits); }
    static F widen(const Bf16* p) { return float_of(static_cast<uint32_t>(p->bits) << 16); }
    template <int U>
    static F widen_pair(const Bf16* p) {
        return widen(p + U);
    }
    static void narrow(float* p, F a) { *p = a; }
    static void narrow(F16* p, F a) { p->bits = narrow_f16(a); }
    static void narrow(Bf16* p, F a) { p->bits = narrow_bf16(a); }
};

}  // namespace

constexpr KernelTable k_scalar_kernels = kernels_of<Scalar>;

}  // namespace relayattn::cpu
