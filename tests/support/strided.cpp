#include "strided.h"

#include <algorithm>
#include <cstring>

#include "dtype.h"

namespace relayattn::test {
namespace {

constexpr int64_t pad_bytes = 16;
constexpr int64_t pad_floats = 3;

}  // namespace

StridedArray::StridedArray(const ArrayShape& shape, Layout layout)
    : shape_(shape), layout_(layout) {
    const int64_t row = shape.dim * size_of(shape.dtype);
    head_stride_ = layout == Layout::dense ? row : row + pad_bytes;
    token_stride_ = shape.heads * head_stride_ + (layout == Layout::padded ? 2 * pad_bytes : 0);
    if (layout == Layout::heads_first) {
        token_stride_ = row + pad_bytes;
        head_stride_ = (shape.tokens + 1) * token_stride_;
    }
    memory_ = DeviceBuffer(layout == Layout::heads_first ? shape.heads * head_stride_
                                                         : shape.tokens * token_stride_);
}

ra_view StridedArray::view() const {
    const bool dense = layout_ == Layout::dense;
    return {memory_.data(), dense ? 0 : token_stride_, dense ? 0 : head_stride_};
}

void StridedArray::write(const std::vector<float>& values) {
    std::vector<char> all(static_cast<size_t>(memory_.size()));
    memory_.download(all.data(), memory_.size());
    for (int64_t token = 0; token < shape_.tokens; ++token)
        for (int64_t head = 0; head < shape_.heads; ++head)
            encode(values.data() + (token * shape_.heads + head) * shape_.dim, shape_.dim,
                   shape_.dtype, all.data() + offset(token, head));
    memory_.upload(all.data(), memory_.size());
}

void StridedArray::write_token(int64_t token, const float* values) {
    std::vector<char> all(static_cast<size_t>(memory_.size()));
    memory_.download(all.data(), memory_.size());
    for (int64_t head = 0; head < shape_.heads; ++head)
        encode(values + head * shape_.dim, shape_.dim, shape_.dtype,
               all.data() + offset(token, head));
    memory_.upload(all.data(), memory_.size());
}

std::vector<unsigned char> StridedArray::bytes() const {
    std::vector<unsigned char> all(static_cast<size_t>(memory_.size()));
    memory_.download(all.data(), memory_.size());
    const auto row = static_cast<size_t>(shape_.dim * size_of(shape_.dtype));
    std::vector<unsigned char> dense(row * static_cast<size_t>(shape_.tokens * shape_.heads));
    auto* to = dense.data();
    for (int64_t token = 0; token < shape_.tokens; ++token)
        for (int64_t head = 0; head < shape_.heads; ++head, to += row)
            std::memcpy(to, all.data() + offset(token, head), row);
    return dense;
}

std::vector<float> StridedArray::read() const {
    const auto dense = bytes();
    std::vector<float> values(static_cast<size_t>(shape_.elements()));
    decode(dense.data(), shape_.elements(), shape_.dtype, values.data());
    return values;
}

bool StridedArray::gaps_are_untouched() const {
    std::vector<unsigned char> all(static_cast<size_t>(memory_.size()));
    memory_.download(all.data(), memory_.size());
    const int64_t row = shape_.dim * size_of(shape_.dtype);
    for (int64_t token = 0; token < shape_.tokens; ++token)
        for (int64_t head = 0; head < shape_.heads; ++head)
            std::memset(all.data() + offset(token, head), 0xff, static_cast<size_t>(row));
    return std::all_of(all.begin(), all.end(), [](unsigned char byte) { return byte == 0xff; });
}

LseArray::LseArray(int64_t tokens, int64_t heads, Layout layout)
    : tokens_(tokens), heads_(heads), token_stride_(heads), head_stride_(1), layout_(layout) {
    if (layout == Layout::padded)
        token_stride_ += pad_floats;
    if (layout == Layout::heads_first) {
        token_stride_ = 1;
        head_stride_ = tokens + pad_floats;
    }
    const int64_t floats = std::max(tokens * token_stride_, heads * head_stride_);
    memory_ = DeviceBuffer(floats * static_cast<int64_t>(sizeof(float)));
}

std::vector<float> LseArray::everything() const {
    std::vector<float> all(static_cast<size_t>(memory_.size()) / sizeof(float));
    memory_.download(all.data(), memory_.size());
    return all;
}

void LseArray::write(const std::vector<float>& values) {
    auto all = everything();
    for (int64_t token = 0; token < tokens_; ++token)
        for (int64_t head = 0; head < heads_; ++head)
            all[static_cast<size_t>(token * token_stride_ + head * head_stride_)] =
                values[static_cast<size_t>(token * heads_ + head)];
    memory_.upload(all.data(), memory_.size());
}

std::vector<float> LseArray::read() const {
    const auto all = everything();
    std::vector<float> values;
    values.reserve(static_cast<size_t>(tokens_ * heads_));
    for (int64_t token = 0; token < tokens_; ++token)
        for (int64_t head = 0; head < heads_; ++head)
            values.push_back(all[static_cast<size_t>(token * token_stride_ + head * head_stride_)]);
    return values;
}

bool LseArray::gaps_are_untouched() const {
    auto all = everything();
    float poison = 0;
    std::memset(&poison, 0xff, sizeof poison);
    for (int64_t token = 0; token < tokens_; ++token)
        for (int64_t head = 0; head < heads_; ++head)
            all[static_cast<size_t>(token * token_stride_ + head * head_stride_)] = poison;
    const auto* bytes = reinterpret_cast<const unsigned char*>(all.data());
    return std::all_of(bytes, bytes + all.size() * sizeof(float),
                       [](unsigned char byte) { return byte == 0xff; });
}

}  // namespace relayattn::test
