#include "cache_flush.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {

constexpr uintptr_t k_line = 64;  // dropping each half of a longer line drops it once

#if defined(__x86_64__)
bool has_unordered_flush() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned clflushopt = 1u << 23;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & clflushopt) != 0;
}

__attribute__((target("clflushopt"))) void drop_unordered(uintptr_t begin, uintptr_t end) {
    for (uintptr_t at = begin; at < end; at += k_line)
        _mm_clflushopt(reinterpret_cast<void*>(at));
}

void drop(uintptr_t begin, uintptr_t end) {
    static const bool unordered = has_unordered_flush();
    if (unordered)
        return drop_unordered(begin, end);
    for (uintptr_t at = begin; at < end; at += k_line)
        _mm_clflush(reinterpret_cast<void*>(at));
}

void wait_for_drops() {
    _mm_mfence();
}
#elif defined(__aarch64__)
void drop(uintptr_t begin, uintptr_t end) {
    for (uintptr_t at = begin; at < end; at += k_line)
        asm volatile("dc civac, %0" : : "r"(at) : "memory");
}

void wait_for_drops() {
    asm volatile("dsb sy" : : : "memory");
}
#else
#error "how does this architecture drop a line from its caches?"
#endif

}  // namespace

void relayattn_bench_flush(const void* data, int64_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(data);
    drop(begin / k_line * k_line, begin + static_cast<uintptr_t>(bytes));
    wait_for_drops();
}
