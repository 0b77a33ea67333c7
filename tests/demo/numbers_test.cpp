// 16-bit conversions against the definition of the formats, and the small layers against plain
// formulas.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "config.h"
#include "half.h"
#include "layers.h"
#include "rope.h"

using namespace serve;

namespace {

// The value of float16 bits, by the definition.
double f16_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -size : size;
}

}  // namespace

TEST_CASE("every finite float16 widens to its value and comes back") {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        if ((half >> 10 & 31) == 31)
            continue;
        REQUIRE(static_cast<double>(f16_to_float(half)) == f16_value(half));
        REQUIRE(float_to_f16(f16_to_float(half)) == half);
    }
    CHECK(std::isinf(f16_to_float(0x7c00)));
    CHECK(std::isnan(f16_to_float(0x7e00)));
}

TEST_CASE("narrowing rounds to the nearest, ties to even") {
    CHECK(float_to_f16(1.0f + std::ldexp(1.0f, -11)) == 0x3c00);      // tie, down to even
    CHECK(float_to_f16(1.0f + 3 * std::ldexp(1.0f, -11)) == 0x3c02);  // tie, up to even
    CHECK(float_to_f16(1.0f + 1.01f * std::ldexp(1.0f, -11)) == 0x3c01);
    CHECK(float_to_f16(65519.0f) == 0x7bff);
    CHECK(float_to_f16(65520.0f) == 0x7c00);
    CHECK(float_to_f16(-std::ldexp(1.0f, -24)) == 0x8001);
    CHECK(float_to_f16(std::ldexp(1.0f, -25)) == 0x0000);
    CHECK(float_to_f16(6.1e-5f) == 0x03ff);
    CHECK(float_to_bf16(1.0f + std::ldexp(1.0f, -8)) == 0x3f80);
    CHECK(float_to_bf16(1.0f + 3 * std::ldexp(1.0f, -8)) == 0x3f82);
    CHECK(float_to_bf16(-1.5f) == 0xbfc0);
    CHECK(bf16_to_float(0x4049) == 3.140625f);
}

TEST_CASE(
    "a linear layer multiplies by rows of its weight, adds its bias, or adds to what is there") {
    const Linear layer{2, 3, {1, 2, 3, 4, 5, 6}, {10, 20, 30}};
    const float x[] = {1, 1, 2, 0};
    float y[6] = {};
    layer.apply(x, 2, y);
    const float product[] = {13, 27, 41, 12, 26, 40};
    for (int i = 0; i < 6; ++i)
        CHECK(y[i] == product[i]);
    layer.add(x, 2, y);
    for (int i = 0; i < 6; ++i)
        CHECK(y[i] == 2 * product[i]);
}

TEST_CASE("RoPE turns pairs by position times rate, and leaves position 0 alone") {
    ModelConfig config;
    config.head_dim = 4;
    config.rope.theta = 100;
    const Rope rope(config);
    CHECK(rope.rates() == std::vector<double>{1.0, 0.1});
    std::vector<float> cos, sin;
    rope.angles({0, 3}, cos, sin);
    float head[] = {1, 2, 3, 4};
    rotate_heads(head, 1, 4, cos.data(), sin.data());
    CHECK(head[0] == 1);
    CHECK(head[3] == 4);
    rotate_heads(head, 1, 4, cos.data() + 2, sin.data() + 2);
    CHECK(head[0] == doctest::Approx(std::cos(3.0) - 3 * std::sin(3.0)));
    CHECK(head[2] == doctest::Approx(3 * std::cos(3.0) + std::sin(3.0)));
    CHECK(head[1] == doctest::Approx(2 * std::cos(0.3) - 4 * std::sin(0.3)));
}

TEST_CASE("normalisation and gate") {
    const float x[] = {3, 4};
    float y[2];
    rms_norm(x, 1, {1, 2}, 0.0f, y);
    CHECK(y[0] == doctest::Approx(3 / std::sqrt(12.5)));
    CHECK(y[1] == doctest::Approx(8 / std::sqrt(12.5)));
    float gated = 0;
    swiglu(x, 1, 1, &gated);
    CHECK(gated == doctest::Approx(3 / (1 + std::exp(-3.0)) * 4));
}
