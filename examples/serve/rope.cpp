#include "rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace serve {
namespace {

// Llama 3.1's scaling: pairs that turn often within the original context stay, slow ones are
// divided by the factor, those between are blended.
double llama3_rate(double rate, const RopeConfig& rope) {
    const double turns = static_cast<double>(rope.original_length) * rate / (2 * std::numbers::pi);
    if (turns > rope.high_freq_factor)
        return rate;
    if (turns < rope.low_freq_factor)
        return rate / rope.factor;
    const double blend =
        (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
    return (1 - blend) * rate / rope.factor + blend * rate;
}

// YaRN (arXiv 2309.00071), "NTK-by-parts": the pair index at which a pair makes `turns` turns
// within the original context.
double yarn_index(double turns, int64_t dim, const RopeConfig& rope) {
    const auto length = static_cast<double>(rope.original_length);
    return static_cast<double>(dim) * std::log(length / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
}

double yarn_rate(double rate, int64_t pair, int64_t dim, const RopeConfig& rope) {
    double low = yarn_index(rope.beta_fast, dim, rope);
    double high = yarn_index(rope.beta_slow, dim, rope);
    if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(dim - 1));
    if (low == high)
        high += 0.001;
    const double ramp = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
    return rate / rope.factor * ramp + rate * (1 - ramp);
}

double scaled_rate(double rate, int64_t pair, int64_t dim, const RopeConfig& rope) {
    switch (rope.kind) {
        case RopeKind::linear:
            return rate / rope.factor;
        case RopeKind::llama3:
            return llama3_rate(rate, rope);
        case RopeKind::yarn:
            return yarn_rate(rate, pair, dim, rope);
        case RopeKind::plain:
            break;
    }
    return rate;
}

}  // namespace

Rope::Rope(const ModelConfig& config) {
    const int64_t dim = config.head_dim;
    for (int64_t pair = 0; pair < dim / 2; ++pair) {
        const double exponent = static_cast<double>(2 * pair) / static_cast<double>(dim);
        rates_.push_back(
            scaled_rate(std::pow(config.rope.theta, -exponent), pair, dim, config.rope));
    }
    scale_ = config.rope.kind == RopeKind::yarn ? config.rope.attention_factor : 1;
}

void Rope::angles(const std::vector<int64_t>& positions, std::vector<float>& cos_out,
                  std::vector<float>& sin_out) const {
    cos_out.resize(positions.size() * rates_.size());
    sin_out.resize(cos_out.size());
    size_t i = 0;
    for (int64_t position : positions)
        for (double rate : rates_) {
            const double angle = static_cast<double>(position) * rate;
            cos_out[i] = static_cast<float>(scale_ * std::cos(angle));
            sin_out[i++] = static_cast<float>(scale_ * std::sin(angle));
        }
}

void rotate_heads(float* heads_data, int64_t heads, int64_t dim, const float* cos,
                  const float* sin) {
    const int64_t half = dim / 2;
    for (int64_t head = 0; head < heads; ++head) {
        float* a = heads_data + head * dim;
        float* b = a + half;
        for (int64_t i = 0; i < half; ++i) {
            const float x = a[i];
            a[i] = x * cos[i] - b[i] * sin[i];
            b[i] = b[i] * cos[i] + x * sin[i];
        }
    }
}

}  // namespace serve
