// Moves single tokens' K and V between ragged views and slots of pages.
#pragma once

#include <cstdint>
#include <span>

#include "impl/backend.h"
#include "impl/cpu/threads.h"

namespace relayattn::cpu {

// Both for tokens [begin, end) of the views; a negative slot skips its token.
void write_slots(const LayerStore& store, const View& k, const View& v,
                 std::span<const int64_t> slots, int64_t begin, int64_t end);
void read_slots(const LayerStore& store, const View& k, const View& v,
                std::span<const int64_t> slots, int64_t begin, int64_t end);

// All tokens, by all threads when there are many. The caller holds the pool.
void write_all(ThreadPool& pool, const LayerStore& store, const View& k, const View& v,
               std::span<const int64_t> slots);
void read_all(ThreadPool& pool, const LayerStore& store, const View& k, const View& v,
              std::span<const int64_t> slots);

// Copies slots as if all were read before any is written. Allocates before it writes.
void copy_slots(std::span<const LayerStore> stores, std::span<const int64_t> from,
                std::span<const int64_t> to);

// Bytes of one token's K and V over all heads.
constexpr int64_t token_bytes(const KvGeometry& kv) {
    return kv.num_kv_heads * (kv.head_dim_k + kv.head_dim_v) * size_of(kv.dtype);
}

}  // namespace relayattn::cpu
