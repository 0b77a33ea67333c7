// Memory that is fetched evenly while tiles are multiplied.
#pragma once

#include "impl/cpu/kernels/steps.h"

namespace relayattn::cpu {
namespace {

// Ranges of memory, brought into L2 line by line at a pace: L1 is left to what is in use, and the
// few lines that a core can wait for at once are asked for while there is time for them.
class Stream {
  public:
    // What there is no room for is left out.
    void add(const void* from, int64_t bytes) {
        if (count_ == most || bytes <= 0) {
            return;
        }
        const auto at = reinterpret_cast<intptr_t>(from);
        ranges_[count_++] = {at, at + bytes};
        lines_ += (bytes + k_cache_line - 1) / k_cache_line;
    }

    // All of it within the time of so many dots of tiles.
    void pace(int64_t dots) { per_dots_ = dots > 0 ? (lines_ * k_dots + dots - 1) / dots : lines_; }

    // After some dots: equal numbers of lines, for branches that can be foretold.
    void beat(int64_t dots) {
        int64_t lines = (per_dots_ * dots + k_dots - 1) / k_dots;
        while (lines > 0 && done_ < count_) {
            Range& range = ranges_[done_];
            intptr_t at = range.at;
            for (; lines > 0 && at < range.end; --lines, at += k_cache_line) {
                __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
            }
            range.at = at;
            done_ += at >= range.end ? 1 : 0;
        }
    }

  private:
    static constexpr int64_t most = 96;
    static constexpr int64_t k_dots = 4;
    struct Range {
        intptr_t at, end;
    };
    Range ranges_[most];
    int64_t count_ = 0, done_ = 0, lines_ = 0;
    int64_t per_dots_ = 0;  // lines while k_dots dots are made
};

// K and V of a step.
template <class T>
inline void list_step(const PackedLayout& p, const Step& step, Stream& stream) {
    const auto bytes = [](int64_t elements) { return elements * static_cast<int64_t>(sizeof(T)); };
    const int64_t panels = round_up(p.head_dim_v, k_lane) / k_lane;
    for (int32_t i = 0; i < step.num_segments; ++i) {
        const Segment& s = step.segments[i];
        const int64_t blocks = (s.end_column - s.column) / k_lane;
        stream.add(step.k_blocks[s.column / k_lane], bytes(blocks * p.k_block));
        if (s.tokens == p.page_size) {
            stream.add(s.v, bytes(p.v_head));
            continue;
        }
        const T* v = static_cast<const T*>(s.v) + s.slot / 2 * (2 * k_lane);
        for (int64_t panel = 0; panel < panels; ++panel) {
            stream.add(v + panel * p.v_panel, bytes(round_up(s.tokens, 2) * k_lane));
        }
    }
}

}  // namespace
}  // namespace relayattn::cpu
