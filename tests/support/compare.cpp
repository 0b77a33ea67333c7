#include "compare.h"

#include <relayattn/relayattn.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "device.h"
#include "dtype.h"

namespace relayattn::test {
namespace {

constexpr double float32_l2 = 1e-6;
// Elements of a small result; plain float32 loops over 72 keys are 1.5e-6 off there.
constexpr double small_result = 32;
// Of a log-sum-exp of about 1, or of scores of N(0, 1).
constexpr double lse_error = 4e-6;
constexpr double rounding_slack = 1.1;
// Half an ulp of the dtype that probabilities are rounded to, relative.
double rounded_probability(int32_t dtype) {
    return dtype == RA_BF16 ? 0x1p-9 : 0x1p-12;
}
constexpr double largest_over_l2 = 10;  // of one element, against the largest |value|

std::string at(const char* what, size_t index, double got, double want) {
    std::ostringstream text;
    text.precision(9);
    text << what << " at element " << index << ": got " << got << ", want " << want;
    return text.str();
}

// Empty when both hold infinities and NaN in the same places.
std::string compare_masks(const std::vector<float>& got, const std::vector<double>& want) {
    if (got.size() != want.size())
        return "sizes differ";
    for (size_t i = 0; i < got.size(); ++i) {
        if (std::isnan(got[i]) != std::isnan(want[i]))
            return at("NaN differs", i, got[i], want[i]);
        if ((std::isinf(got[i]) || std::isinf(want[i])) && static_cast<double>(got[i]) != want[i])
            return at("infinity differs", i, got[i], want[i]);
    }
    return {};
}

double relative_l2_of_rounding(const std::vector<double>& want, int32_t dtype) {
    double error = 0, size = 0;
    for (double value : want) {
        const double off = static_cast<double>(rounded(static_cast<float>(value), dtype)) - value;
        error += off * off;
        size += value * value;
    }
    return size > 0 ? std::sqrt(error / size) : 0;
}

std::string too_far(const char* what, double got, double limit, size_t index) {
    std::ostringstream text;
    text << what << ' ' << got << " exceeds " << limit << " (worst element " << index << ')';
    return text.str();
}

}  // namespace

void ErrorRecord::add(const Difference& difference) {
    error_squared_ += difference.error_squared;
    size_squared_ += difference.size_squared;
    ++outputs_;
}

void ErrorRecord::add(const ErrorRecord& other) {
    error_squared_ += other.error_squared_;
    size_squared_ += other.size_squared_;
    outputs_ += other.outputs_;
}

double ErrorRecord::pooled_l2() const {
    return size_squared_ > 0 ? std::sqrt(error_squared_ / size_squared_) : 0;
}

double pooled_limit(int32_t dtype, Precision precision) {
    if (precision.rounded_to == RA_BF16 || (precision.rounded_to != 0 && dtype == RA_BF16))
        return 2.2e-3;
    if (precision.rounded_to == RA_F16)
        return 3e-4;
    return dtype == RA_F32 ? 1e-6 : rounding_slack * (dtype == RA_BF16 ? 1.7e-3 : 2.1e-4);
}

Precision precision_under_test(int64_t isa, int32_t q_dtype, int32_t kv_dtype, int32_t out_dtype) {
    const bool alike = q_dtype == kv_dtype && out_dtype == kv_dtype;
    const bool bf16_products = isa == RA_ISA_AVX512_BF16 || isa == RA_ISA_AMX;
    const bool rounded = backend_under_test() == RA_BACKEND_CUDA
                             ? kv_dtype != RA_F32
                             : bf16_products && kv_dtype == RA_BF16;
    return {alike && rounded ? kv_dtype : 0};
}

namespace {

// The error that products may leave, relative.
double product_l2(size_t elements, Precision precision) {
    if (precision.rounded_to != 0)
        return rounded_probability(precision.rounded_to);
    const double rows = std::max(1.0, static_cast<double>(elements) / small_result);
    return float32_l2 * precision.score_spread * (1 + 3 / std::sqrt(rows));
}

}  // namespace

Difference compare_outputs(const std::vector<float>& got, const std::vector<double>& want,
                           int32_t dtype, Precision precision) {
    Difference difference{compare_masks(got, want)};
    if (!difference.text.empty())
        return difference;
    double& error = difference.error_squared;
    double& size = difference.size_squared;
    double top = 0;
    size_t worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        const double off = std::fabs(static_cast<double>(got[i]) - want[i]);
        error += off * off;
        size += want[i] * want[i];
        top = std::max(top, std::fabs(want[i]));
        if (off > difference.largest) {
            difference.largest = off;
            worst = i;
        }
    }
    difference.relative_l2 = size > 0 ? std::sqrt(error / size) : std::sqrt(error);
    const double product = product_l2(got.size(), precision);
    const double limit = rounding_slack * relative_l2_of_rounding(want, dtype) + product;
    const double largest_limit = top * std::max(largest_over_l2 * product, 1.5 * half_ulp(dtype));
    if (difference.relative_l2 > limit)
        difference.text = too_far("relative L2", difference.relative_l2, limit, worst);
    else if (difference.largest > largest_limit)
        difference.text = too_far("error", difference.largest, largest_limit, worst);
    return difference;
}

Difference compare_lse(const std::vector<float>& got, const std::vector<double>& want,
                       Precision precision) {
    Difference difference{compare_masks(got, want)};
    if (!difference.text.empty())
        return difference;
    for (size_t i = 0; i < got.size(); ++i) {
        if (std::isinf(want[i]))
            continue;
        const double off = std::fabs(static_cast<double>(got[i]) - want[i]);
        difference.largest = std::max(difference.largest, off);
        if (off > lse_error * std::max(precision.score_spread, std::fabs(want[i])) &&
            difference.text.empty())
            difference.text = at("log-sum-exp differs", i, got[i], want[i]);
    }
    return difference;
}

}  // namespace relayattn::test
