// The scenario's data rules, as README.md states them: buffers from seeds, and how results compare.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace relayattn::test {

// A tensor's bytes, in the dtype that the API gets.
class Buffer {
  public:
    Buffer() = default;
    Buffer(int64_t size, int32_t dtype);
    static Buffer from_seed(int64_t seed, int64_t size, int32_t dtype);

    void* data() { return bytes_.empty() ? nullptr : bytes_.data(); }
    const std::vector<uint8_t>& bytes() const { return bytes_; }

    // "", or which element is not what was wanted.
    std::string compare(const std::vector<double>& want) const;

  private:
    double value(size_t i) const;

    std::vector<uint8_t> bytes_;
    int32_t dtype_ = 0;
};

}  // namespace relayattn::test
