#pragma once

#include <cstdint>
#include <vector>

#include "config.h"

namespace serve {

// Rotary position embedding in Hugging Face's form: value i of a head turns with value i + dim/2.
class Rope {
  public:
    explicit Rope(const ModelConfig& config);
    // The rates of the pairs, in radians per token.
    const std::vector<double>& rates() const { return rates_; }
    // Writes cos and sin for each token: [tokens][dim / 2].
    void angles(const std::vector<int64_t>& positions, std::vector<float>& cos_out,
                std::vector<float>& sin_out) const;

  private:
    std::vector<double> rates_;
    double scale_ = 1;
};

// Turns `heads` heads of one token in place; cos and sin hold dim / 2 values.
void rotate_heads(float* heads_data, int64_t heads, int64_t dim, const float* cos,
                  const float* sin);

}  // namespace serve
