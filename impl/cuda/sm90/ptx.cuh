// One-instruction wrappers of what sm_90a brought: barriers in shared memory, the copy engine,
// register hand-over. The warpgroup products are in wgmma.cuh.
#pragma once

#include <cuda.h>

#include "impl/cuda/sm80/ptx.cuh"

namespace relayattn::cuda::ptx {

__device__ __forceinline__ void init_barrier(uint64_t* barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(arrivals)
                 : "memory");
}

__device__ __forceinline__ void fence_barrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void arrive(uint64_t* barrier, int count) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(count)
                 : "memory");
}

__device__ __forceinline__ void arrive_expecting(uint64_t* barrier, uint32_t bytes) {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
        "r"(bytes)
        : "memory");
}

__device__ __forceinline__ bool try_wait(uint32_t barrier, uint32_t parity) {
    uint32_t done;
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n"
        "}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
    return done;
}

__device__ __forceinline__ void wait(uint64_t* barrier, uint32_t parity) {
    const uint32_t address = shared_address(barrier);
    while (!try_wait(address, parity)) {
    }
}

// One box of a 4-D tensor (dim, head, slot, page) into shared memory; completes on the barrier.
__device__ __forceinline__ void copy_box(uint32_t to, const CUtensorMap* map, uint64_t* barrier,
                                         int dim, int head, int slot, int page) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(to),
        "l"(map), "r"(shared_address(barrier)), "r"(dim), "r"(head), "r"(slot), "r"(page)
        : "memory");
}

__device__ __forceinline__ void prefetch_map(const CUtensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Makes this thread's ordinary stores visible to the copy engine: those to global memory must have
// reached L2, where it reads, so the proxy's fence alone is not enough.
__device__ __forceinline__ void fence_async_proxy() {
    __threadfence();
    asm volatile("fence.proxy.async;" ::: "memory");
}

// The same for stores to shared memory, and for the warpgroup products.
__device__ __forceinline__ void fence_async_proxy_shared() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

template <int registers>
__device__ __forceinline__ void raise_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers) : "memory");
}

template <int registers>
__device__ __forceinline__ void lower_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers) : "memory");
}

// The CTA's number, read anew: cheaper than a register kept through a whole kernel.
__device__ __forceinline__ int cta_index() {
    int x;
    asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(x));
    return x;
}

// The same value, but the compiler does not know: sums with it are made anew where they are used
// instead of being kept in registers.
__device__ __forceinline__ uint32_t opaque(uint32_t x) {
    asm volatile("" : "+r"(x));
    return x;
}

}  // namespace relayattn::cuda::ptx
