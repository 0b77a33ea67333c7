// What products bring into the caches while they work.
#pragma once

#include "impl/cpu/kernels/stream.h"

namespace relayattn::cpu {
namespace {

// Of a K block or V panel, what one iteration of a product reads.
template <class T>
constexpr int64_t k_row_bytes = k_lane * interleave<T> * static_cast<int64_t>(sizeof(T));

// From `at` on, `step` bytes further with each row of K or V that the product reads. In the order
// of addresses: memory gives a core 43 GB/s in that order and 28 from four places in turn (measured
// on a Zen 5).
struct Fetch {
    intptr_t at;
    int64_t step;

    [[gnu::always_inline]] void next() {
        __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 3);
        at += step;
    }
};

// Touches a line that is read anyway.
inline Fetch no_fetch(const void* line) {
    return {reinterpret_cast<intptr_t>(line), 0};
}

// Ranges of memory, fetched bit by bit.
class Ahead {
  public:
    static constexpr int64_t most_bytes = 256 * 1024;  // a part of L2

    bool empty() const { return done_ == count_; }
    void clear() { count_ = done_ = bytes_ = 0; }

    // Of the size of each of the `count` parts it holds.
    bool has_room_for_more(int64_t count) const {
        return bytes_ + bytes_ / count <= most_bytes && count_ + count_ / count <= most;
    }

    // False if it holds too much already.
    bool add(const void* from, int64_t bytes) {
        if (count_ == most || bytes_ + bytes > most_bytes) {
            return false;
        }
        const auto at = reinterpret_cast<intptr_t>(from);
        ranges_[count_++] = {at, at + bytes};
        bytes_ += bytes;
        return true;
    }

    // The next so many bytes: what is left of a range, and then what lies behind it.
    Fetch take(int64_t bytes, int64_t step) {
        Range& range = ranges_[done_];
        const Fetch fetch{range.at, step};
        range.at += bytes;
        done_ += range.at >= range.end ? 1 : 0;
        return fetch;
    }

    // This part of what is left, in whole lines.
    void move(double part, Stream& stream) {
        int64_t left = 0;
        for (int64_t i = done_; i < count_; ++i) {
            left += ranges_[i].end - ranges_[i].at;
        }
        auto bytes = static_cast<int64_t>(static_cast<double>(left) * part) + k_cache_line;
        while (bytes > 0 && !empty()) {
            Range& range = ranges_[done_];
            const int64_t in_range = range.end - range.at;
            const int64_t some = in_range < bytes ? in_range : round_up(bytes, k_cache_line);
            stream.add(reinterpret_cast<const void*>(range.at), some);
            range.at += some;
            bytes -= some;
            done_ += range.at >= range.end ? 1 : 0;
        }
    }

  private:
    static constexpr int64_t most = 32;
    struct Range {
        intptr_t at, end;
    };
    Range ranges_[most];
    int64_t count_ = 0, done_ = 0, bytes_ = 0;
};

enum class Half : uint8_t { none, all, first, second };

// What a tile fetches at a step: of what the step reads next, this much; else some of `ahead`, if
// that is not null.
struct Share {
    Half own;
    Ahead* ahead;

    bool takes_ahead() const { return ahead != nullptr && !ahead->empty(); }

    // Of `bytes` bytes, `step` of which belong to a row.
    Fetch of(const void* from, int64_t offset, int64_t bytes, int64_t step) const {
        const auto at = reinterpret_cast<intptr_t>(from) + offset;
        const int halved = own == Half::all ? 0 : 1;
        return {own == Half::second ? at + bytes / 2 : at, step >> halved};
    }
};

}  // namespace
}  // namespace relayattn::cpu
