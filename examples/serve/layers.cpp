#include "layers.h"

#include <cblas.h>

#include <cmath>

namespace serve {
namespace {

// OpenBLAS, because its matrix product is within a tenth of the machine's peak on every x86-64 and
// ARM core and Debian keeps it: writing one here would teach nothing about attention.
void multiply(const Linear& layer, const float* x, int64_t rows, float keep, float* y) {
    const auto m = static_cast<blasint>(rows), n = static_cast<blasint>(layer.out),
               k = static_cast<blasint>(layer.in);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, x, k, layer.weight.data(),
                k, keep, y, n);
}

void add_bias(const Linear& layer, int64_t rows, float* y) {
    if (layer.bias.empty())
        return;
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t i = 0; i < layer.out; ++i)
            y[row * layer.out + i] += layer.bias[static_cast<size_t>(i)];
}

}  // namespace

void Linear::apply(const float* x, int64_t rows, float* y) const {
    multiply(*this, x, rows, 0.0f, y);
    add_bias(*this, rows, y);
}

void Linear::add(const float* x, int64_t rows, float* y) const {
    multiply(*this, x, rows, 1.0f, y);
    add_bias(*this, rows, y);
}

void set_linear_threads(int64_t threads) {
    openblas_set_num_threads(static_cast<int>(threads));
}

void rms_norm(const float* x, int64_t rows, const std::vector<float>& weight, float epsilon,
              float* y) {
    const auto width = static_cast<int64_t>(weight.size());
    for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
        double sum = 0;
        for (int64_t i = 0; i < width; ++i)
            sum += static_cast<double>(x[i]) * x[i];
        const auto mean = static_cast<float>(sum / static_cast<double>(width));
        const float scale = 1.0f / std::sqrt(mean + epsilon);
        for (int64_t i = 0; i < width; ++i)
            y[i] = x[i] * scale * weight[static_cast<size_t>(i)];
    }
}

void swiglu(const float* x, int64_t rows, int64_t width, float* y) {
    for (int64_t row = 0; row < rows; ++row, x += 2 * width, y += width)
        for (int64_t i = 0; i < width; ++i)
            y[i] = x[i] / (1.0f + std::exp(-x[i])) * x[width + i];
}

}  // namespace serve
