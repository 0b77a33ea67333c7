#pragma once

#include <cstdint>
#include <vector>

namespace serve {

// y = x W^T (+ bias), W stored [out][in] as Hugging Face stores it.
struct Linear {
    int64_t in = 0, out = 0;
    std::vector<float> weight;
    std::vector<float> bias;  // empty = none

    void apply(const float* x, int64_t rows, float* y) const;
    // As apply, but adds to what y holds: a residual connection.
    void add(const float* x, int64_t rows, float* y) const;
};

void set_linear_threads(int64_t threads);

// Root-mean-square normalisation of each row.
void rms_norm(const float* x, int64_t rows, const std::vector<float>& weight, float epsilon,
              float* y);

// y = silu(gate) * up, where a row of x is [gate | up], each `width` wide.
void swiglu(const float* x, int64_t rows, int64_t width, float* y);

}  // namespace serve
