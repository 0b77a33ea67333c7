// Writes the step's new K and V from the call's tensors to their pages. The items that see new
// tokens read them from the tensors, so this may happen at any time during an attend: where nothing
// waits for it.
#pragma once

#include "impl/cuda/sm80/kernel_params.h"

namespace relayattn::cuda {

template <class T>
__device__ __forceinline__ void append_chunk(const Strided& from, const Pages& pages, int token,
                                             int kv_head, int chunk, int32_t page,
                                             int32_t in_page) {
    const T* row =
        static_cast<const T*>(from.data) + token * from.token_stride + kv_head * from.head_stride;
    T* to = static_cast<T*>(pages.data) + page * pages.page_stride + in_page * pages.token_stride +
            kv_head * pages.head_stride;
    reinterpret_cast<int4*>(to)[chunk] = reinterpret_cast<const int4*>(row)[chunk];
}

// By all threads of the grid, 16 bytes of K and of V at a time.
template <class T, int dim>
__device__ __forceinline__ void append_new_tokens(const KernelParams& p) {
    if (p.call.k.data == nullptr)
        return;
    constexpr int row_chunks = dim / 8;
    const int chunks = p.call.work.counts->num_tokens * p.call.num_kv_heads * row_chunks;
    const int threads = static_cast<int>(gridDim.x * blockDim.x);
#pragma unroll 1
    for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < chunks;
         i += threads) {
        const int row = i / row_chunks;
        const int token = p.by_kv_heads.divide(row);
        const int64_t slot = p.call.work.slots[token];
        if (slot < 0)
            continue;
        const int kv_head = row - token * p.call.num_kv_heads;
        const int32_t page = p.by_page_size.divide(static_cast<int32_t>(slot));
        const int32_t in_page = static_cast<int32_t>(slot) - page * p.call.page_size;
        append_chunk<T>(p.call.k, p.call.k_pages, token, kv_head, i % row_chunks, page, in_page);
        append_chunk<T>(p.call.v, p.call.v_pages, token, kv_head, i % row_chunks, page, in_page);
    }
}

}  // namespace relayattn::cuda
