// Turns a byte string into arguments, good ones and bad ones.
#pragma once

#include <cstddef>
#include <cstdint>

namespace relayattn::fuzz {

class Reader {
  public:
    Reader(const uint8_t* data, size_t size) : data_(data), left_(size) {}

    bool is_empty() const { return left_ == 0; }

    uint8_t byte() {
        if (left_ == 0)
            return 0;
        --left_;
        return *data_++;
    }

    int64_t below(int64_t bound) { return byte() % bound; }
    bool one_in(int64_t count) { return below(count) == count - 1; }

    // Mostly 0 to `most`; sometimes negative, or as large or small as it gets.
    int64_t count(int64_t most) {
        const uint8_t choice = byte();
        switch (choice) {
            case 255:
                return INT64_MAX;
            case 254:
                return INT64_MIN;
            case 253:
                return -1;
            case 252:
                return INT64_MAX - 3;
            default:
                return choice % (most + 1);
        }
    }

    int32_t choice(int32_t most) {
        const uint8_t value = byte();
        return value >= 250 ? value - 252 : value % (most + 1);
    }

  private:
    const uint8_t* data_;
    size_t left_;
};

}  // namespace relayattn::fuzz
