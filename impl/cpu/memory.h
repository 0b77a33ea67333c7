// Blocks of aligned memory. All of it comes from operator new, so that a test can make any
// allocation fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace relayattn::cpu {

constexpr std::size_t k_cache_line = 64;

template <std::size_t Alignment>
struct AlignedDelete {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{Alignment}); }
};

using Block = std::unique_ptr<void, AlignedDelete<k_cache_line>>;

inline Block allocate_block(int64_t bytes) {
    return Block(::operator new(static_cast<std::size_t>(bytes), std::align_val_t{k_cache_line}));
}

}  // namespace relayattn::cpu
