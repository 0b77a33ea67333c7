// Strided tensors for the views of a call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "impl/backend.h"
#include "support/dtype.h"

namespace relayattn::test {

// A strided tensor in a dtype; NaN wherever nothing was put.
class Tensor {
  public:
    Tensor(int64_t tokens, int64_t heads, int64_t dim, Dtype dtype)
        : heads_(heads),
          dim_(dim),
          dtype_(dtype),
          head_stride_(dim * relayattn::size_of(dtype) + k_gap),
          token_stride_(heads * head_stride_ + k_gap),
          bytes_(at(tokens * token_stride_), 0xff) {}

    void put(int64_t token, const float* row) {
        for (int64_t h = 0; h < heads_; ++h)
            encode(row + h * dim_, dim_, static_cast<int32_t>(dtype_), place(token, h));
    }
    std::vector<float> get(int64_t tokens) {
        std::vector<float> all(at(tokens * heads_ * dim_));
        for (int64_t i = 0; i < tokens * heads_; ++i)
            decode(place(i / heads_, i % heads_), dim_, static_cast<int32_t>(dtype_),
                   all.data() + i * dim_);
        return all;
    }
    void clear() { std::fill(bytes_.begin(), bytes_.end(), uint8_t{0xff}); }
    View view() { return {bytes_.data(), token_stride_, head_stride_}; }

  private:
    static constexpr int64_t k_gap = 16;  // bytes between heads, so that no stride is dense

    static size_t at(int64_t i) { return static_cast<size_t>(i); }
    uint8_t* place(int64_t token, int64_t head) {
        return bytes_.data() + token * token_stride_ + head * head_stride_;
    }

    int64_t heads_, dim_;
    Dtype dtype_;
    int64_t head_stride_, token_stride_;
    std::vector<uint8_t> bytes_;
};

}  // namespace relayattn::test
