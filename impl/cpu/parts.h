// Splits work over a range of tokens among the threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "impl/cpu/figures.h"
#include "impl/cpu/threads.h"

namespace relayattn::cpu {

// Calls part(begin, end) over [0, count), by all threads when `bytes` are many.
template <class Part>
void in_parts(ThreadPool& pool, int64_t count, int64_t bytes, Part part) {
    if (bytes < k_small_write_bytes || pool.num_threads() == 1) {
        return part(0, count);
    }
    constexpr int64_t grain = 16;  // whole K blocks, when slots are consecutive
    std::atomic<int64_t> next{0};
    pool.run([&] {
        int64_t begin;
        while ((begin = next.fetch_add(grain, std::memory_order_relaxed)) < count) {
            part(begin, std::min(begin + grain, count));
        }
    });
}

}  // namespace relayattn::cpu
