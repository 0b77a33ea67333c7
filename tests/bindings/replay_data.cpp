#include "replay_data.h"

#include <relayattn/relayattn.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sstream>

namespace relayattn::test {
namespace {

constexpr double minus_infinity = -1e300;  // as the file writes it

size_t size_of(int32_t dtype) {
    return dtype == RA_F32 ? 4 : 2;
}

// m / 64 as float16; README.md has the formula.
uint32_t to_half(int64_t m) {
    if (m == 0)
        return 0;
    const auto size = static_cast<uint32_t>(std::abs(m));
    const auto e = static_cast<uint32_t>(std::bit_width(size) - 1);
    return (m < 0 ? 0x8000u : 0u) | (e + 9) << 10 | ((size << (10 - e)) & 1023);
}

uint32_t encode(int64_t m, int32_t dtype) {
    if (dtype == RA_F16)
        return to_half(m);
    const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(m) / 64);
    return dtype == RA_BF16 ? bits >> 16 : bits;
}

double from_half(uint32_t bits) {
    const int e = static_cast<int>(bits >> 10 & 31);
    const double fraction = bits & 1023;
    const double size = e == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, e - 25);
    return (bits & 0x8000) != 0 ? -size : size;
}

double tolerance(int32_t dtype) {
    return dtype == RA_F32 ? 3e-6 : dtype == RA_F16 ? 5e-4 : 4e-3;
}

bool is_right(double got, double want, double most) {
    if (want == minus_infinity)
        return got == -std::numeric_limits<double>::infinity();
    return std::abs(got - want) <= most * (1 + std::abs(want));
}

}  // namespace

// Every result starts as NaN, so that an element that is never written is found.
Buffer::Buffer(int64_t size, int32_t dtype)
    : bytes_(static_cast<size_t>(size) * size_of(dtype), uint8_t{0xff}), dtype_(dtype) {}

Buffer Buffer::from_seed(int64_t seed, int64_t size, int32_t dtype) {
    if (seed == 0)
        return {};
    Buffer buffer(size, dtype);
    int64_t state = seed;
    for (size_t i = 0; i < static_cast<size_t>(size); ++i) {
        state = (state * 1103515245 + 12345) % (int64_t{1} << 31);
        const uint32_t bits = encode((state >> 16) % 255 - 127, dtype);
        static_assert(std::endian::native == std::endian::little);
        std::memcpy(&buffer.bytes_[i * size_of(dtype)], &bits, size_of(dtype));
    }
    return buffer;
}

double Buffer::value(size_t i) const {
    uint32_t bits = 0;
    std::memcpy(&bits, &bytes_[i * size_of(dtype_)], size_of(dtype_));
    if (dtype_ == RA_F16)
        return from_half(bits);
    return std::bit_cast<float>(dtype_ == RA_BF16 ? bits << 16 : bits);
}

std::string Buffer::compare(const std::vector<double>& want) const {
    std::ostringstream text;
    if (want.size() * size_of(dtype_) != bytes_.size())
        text << want.size() << " values are expected of " << bytes_.size() << " bytes";
    for (size_t i = 0; i < want.size() && text.str().empty(); ++i) {
        if (!is_right(value(i), want[i], tolerance(dtype_)))
            text << "element " << i << " is " << value(i) << ", and should be " << want[i];
    }
    return text.str();
}

}  // namespace relayattn::test
