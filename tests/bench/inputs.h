// N(0,1) inputs that anybody can make again: the row of a token is a window of one table of normal
// values, at a place that hashes from the token's number. Nothing of a shape's data has to be kept
// for the check, and filling a cache is copying.
#pragma once

#include <cstdint>
#include <vector>

#include "floor.h"

namespace relayattn::bench {

enum class Stream : uint64_t { q = 1, k = 2, v = 3 };

class Inputs {
  public:
    explicit Inputs(Dtypes dtypes);

    // The row of `width` elements, as the values that its dtype holds and encoded.
    const float* values(Stream stream, int64_t token) const;
    void encode(Stream stream, int64_t token, int64_t width, void* out) const;

    static constexpr int64_t k_widest_row = int64_t{1} << 18;

  private:
    struct Table {
        int32_t dtype;
        std::vector<float> values;
        std::vector<unsigned char> bytes;
    };
    static Table make_table(int32_t dtype);
    const Table& table(Stream stream) const { return stream == Stream::q ? q_ : kv_; }

    Table q_, kv_;
};

}  // namespace relayattn::bench
