// The call as the fast kernels take it: AttendParams and what the host derives from them once.
#pragma once

#include <cstdint>

#include "impl/cuda/attend_params.h"

namespace relayattn::cuda {

constexpr int k_warp = 32;  // threads
constexpr float k_log2e = 1.4426950408889634f;
constexpr float k_ln2 = 0.6931471805599453f;

// Exact n / d for 0 <= n < 2^31: the reciprocal rounded up (Granlund and Montgomery 1994).
struct Divisor {
    uint32_t reciprocal;
    int32_t shift;

    static Divisor of(int32_t d) {
        int32_t bits = 0;
        while ((int64_t{1} << bits) < d)
            ++bits;
        const uint64_t one = uint64_t{1} << (31 + bits);
        return {static_cast<uint32_t>(one / static_cast<uint64_t>(d) + 1), 31 + bits};
    }

#ifdef __CUDACC__
    __device__ __forceinline__ int32_t divide(int32_t n) const {
        return static_cast<int32_t>(
            (static_cast<uint64_t>(static_cast<uint32_t>(n)) * reciprocal) >> shift);
    }
#endif
};

struct KernelParams {
    AttendParams call;
    Divisor by_page_size, by_group, by_kv_heads, by_q_heads;
    int32_t group;             // query heads per KV head
    int32_t max_items;         // that the work list's memory holds
    int32_t first_few;         // guess: the few-row items begin here
    float score_factor;        // log2 of the softmax's weight = score_factor * score
    int32_t whole_steps;       // 1: aligned steps of 16 slots lie in one page
    int32_t transforms;        // 1: scores go through transform_score first, and score_factor is 1
    int32_t finish_row_shift;  // log2 of the warps that share a row: 0 to 3
};

#ifdef __CUDACC__
// A whole struct of 16-byte words at once, here and not where the compiler first needs it: a load
// that others wait for is to start early.
template <class S>
__device__ __forceinline__ S load_now(const S* from) {
    constexpr int words = sizeof(S) / sizeof(int4);
    static_assert(sizeof(S) % sizeof(int4) == 0);
    union {
        int4 raw[words];
        S value;
    } x;
#pragma unroll
    for (int i = 0; i < words; ++i)
        asm volatile("ld.global.v4.s32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x.raw[i].x), "=r"(x.raw[i].y), "=r"(x.raw[i].z), "=r"(x.raw[i].w)
                     : "l"(reinterpret_cast<const int4*>(from) + i));
    return x.value;
}

__device__ __forceinline__ int32_t load_now(const int32_t* from) {
    int32_t x;
    asm volatile("ld.global.s32 %0, [%1];" : "=r"(x) : "l"(from));
    return x;
}

// What an item's work starts from, loaded at once: its head, and the pages that its record holds.
struct ItemStart {
    ItemHead head;
    int32_t table;  // those pages' place in the page table
    int32_t page;   // one of them a lane

    __device__ __forceinline__ ItemStart(const DeviceWork& work, int index)
        : ItemStart(work, work.items[index]) {}

    __device__ __forceinline__ ItemStart(const DeviceWork& work, const ItemRecord& record)
        : head(load_now(&record.head)),
          table(static_cast<int32_t>(record.pages - work.page_table)),
          page(load_now(record.pages + threadIdx.x % k_record_pages)) {}
};
#endif

inline KernelParams kernel_params(const AttendParams& call, const LaunchBounds& bounds) {
    KernelParams p{};
    p.call = call;
    constexpr int32_t few_step = 16;
    p.whole_steps = call.page_size % few_step == 0;
    p.max_items = bounds.max_items;
    p.first_few = bounds.num_many;
    p.group = call.num_q_heads / call.num_kv_heads;
    p.by_page_size = Divisor::of(call.page_size);
    p.by_group = Divisor::of(p.group);
    p.by_kv_heads = Divisor::of(call.num_kv_heads);
    p.by_q_heads = Divisor::of(call.num_q_heads);
    // A scale that is not positive would turn the order of scores round, so it is applied early.
    p.transforms =
        call.logit_softcap > 0 || call.alibi_slopes != nullptr || call.softmax_scale <= 0;
    p.score_factor = p.transforms ? 1.0f : call.softmax_scale * k_log2e;
    return p;
}

}  // namespace relayattn::cuda
