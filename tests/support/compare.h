// Results against float64: first where infinities and NaN are, then relative L2 and largest error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace relayattn::test {

// How far a right implementation may be off. Products in float32: 1e-6, and no more than 10 % above
// what rounding the exact result to the output dtype costs; probabilities rounded to bfloat16 or
// float16 before the product: 2.2e-3 or 3e-4 over a large result, each off by its half ulp. The
// float32 bound is for scores of N(0, 1) over a large result: a softmax is as much more sensitive
// as its scores spread further, and a result of one row may be four times as far off.
struct Precision {
    int32_t rounded_to = 0;  // dtype that probabilities are rounded to; 0 = they stay float32
    double score_spread = 1;
};

// Of the kernels under test: matrix units take probabilities in a dtype that q, KV and out share.
Precision precision_under_test(int64_t isa, int32_t q_dtype, int32_t kv_dtype, int32_t out_dtype);

struct Difference {
    std::string text;  // empty = equal within the tolerance
    double relative_l2 = 0;
    double largest = 0;
    double error_squared = 0, size_squared = 0;
};

// Errors of many outputs of one dtype, pooled.
class ErrorRecord {
  public:
    void add(const Difference& difference);
    void add(const ErrorRecord& other);
    double pooled_l2() const;
    int64_t outputs() const { return outputs_; }

  private:
    double error_squared_ = 0, size_squared_ = 0;
    int64_t outputs_ = 0;
};

// The limit of the pooled error: the cost of rounding N(0, 1) values plus 10 %.
double pooled_limit(int32_t dtype, Precision precision);

Difference compare_outputs(const std::vector<float>& got, const std::vector<double>& want,
                           int32_t dtype, Precision precision);
Difference compare_lse(const std::vector<float>& got, const std::vector<double>& want,
                       Precision precision = {});

}  // namespace relayattn::test
