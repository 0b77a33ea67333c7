// A [tokens, heads, dim] array in device memory with strides of the test's choice. Whatever lies
// between its elements is poisoned, and stays so unless somebody writes where he must not.
#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <vector>

#include "device.h"

namespace relayattn::test {

enum class Layout { dense, padded, heads_first };

struct ArrayShape {
    int64_t tokens = 0, heads = 0, dim = 0;
    int32_t dtype = RA_F32;

    int64_t elements() const { return tokens * heads * dim; }
};

class StridedArray {
  public:
    StridedArray(const ArrayShape& shape, Layout layout);

    // Values of a dense [tokens, heads, dim] array, rounded to the dtype.
    void write(const std::vector<float>& values);
    void write_token(int64_t token, const float* values);
    std::vector<float> read() const;

    // The elements' own bytes, dense: equal bytes mean bitwise equal results.
    std::vector<unsigned char> bytes() const;
    bool gaps_are_untouched() const;
    void poison() { memory_.poison(); }

    ra_view view() const;
    const ArrayShape& shape() const { return shape_; }

  private:
    int64_t offset(int64_t token, int64_t head) const {
        return token * token_stride_ + head * head_stride_;
    }

    ArrayShape shape_;
    Layout layout_;
    int64_t token_stride_ = 0, head_stride_ = 0;
    DeviceBuffer memory_;
};

// Float32 [tokens, heads] with element strides, for log-sum-exp.
class LseArray {
  public:
    LseArray(int64_t tokens, int64_t heads, Layout layout);

    float* data() const { return static_cast<float*>(memory_.data()); }
    int64_t token_stride() const { return layout_ == Layout::dense ? 0 : token_stride_; }
    int64_t head_stride() const { return layout_ == Layout::dense ? 0 : head_stride_; }
    void write(const std::vector<float>& values);
    std::vector<float> read() const;
    bool gaps_are_untouched() const;
    void poison() { memory_.poison(); }

  private:
    std::vector<float> everything() const;

    int64_t tokens_, heads_, token_stride_, head_stride_;
    Layout layout_;
    DeviceBuffer memory_;
};

}  // namespace relayattn::test
