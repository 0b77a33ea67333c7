// Random numbers that are the same on every machine for the same seed (splitmix64).
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>
#include <utility>
#include <vector>

namespace relayattn::test {

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t bits() {
        uint64_t x = state_ += 0x9e3779b97f4a7c15ULL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        return x ^ (x >> 31);
    }

    // Both ends included.
    int64_t integer(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
    }

    bool chance(int64_t percent) { return integer(1, 100) <= percent; }

    double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

    // N(0, 1), by Box and Muller: two at a time.
    float normal() {
        if (spare_ready_) {
            spare_ready_ = false;
            return spare_;
        }
        const double radius = std::sqrt(-2 * std::log(1 - uniform()));
        const double angle = 2 * std::numbers::pi * uniform();
        spare_ = static_cast<float>(radius * std::sin(angle));
        spare_ready_ = true;
        return static_cast<float>(radius * std::cos(angle));
    }

    std::vector<float> normals(int64_t count) {
        std::vector<float> values(static_cast<size_t>(count));
        for (float& value : values)
            value = normal();
        return values;
    }

    template <class T>
    T pick(std::initializer_list<T> choices) {
        return choices.begin()[integer(0, static_cast<int64_t>(choices.size()) - 1)];
    }

    template <class T>
    T& pick(std::vector<T>& choices) {
        return choices[static_cast<size_t>(integer(0, static_cast<int64_t>(choices.size()) - 1))];
    }

    template <class T>
    void shuffle(std::vector<T>& values) {
        for (size_t i = values.size(); i > 1; --i)
            std::swap(values[i - 1],
                      values[static_cast<size_t>(integer(0, static_cast<int64_t>(i) - 1))]);
    }

  private:
    uint64_t state_;
    float spare_ = 0;
    bool spare_ready_ = false;
};

}  // namespace relayattn::test
