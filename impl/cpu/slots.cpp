#include "impl/cpu/slots.h"

#include <algorithm>

#include "impl/cpu/memory.h"
#include "impl/cpu/page_layout.h"
#include "impl/cpu/parts.h"

namespace relayattn::cpu {
namespace {

// One element of a page: its bits only are moved.
template <class T>
struct Pages {
    PackedLayout layout;
    T* k;
    T* v;

    T* k_at(int64_t slot, int64_t head) const {
        return k + slot / layout.page_size * layout.k_page +
               k_slot(layout, head, slot % layout.page_size);
    }
    T* v_at(int64_t slot, int64_t head) const {
        return v + slot / layout.page_size * layout.v_page +
               v_slot(layout, head, slot % layout.page_size);
    }
};

template <class T>
Pages<T> pages_of(const LayerStore& store) {
    return {packed_layout(store.geometry, store.layout.page_size), static_cast<T*>(store.pages.k),
            static_cast<T*>(store.pages.v)};
}

template <class T>
T* row_of(const View& view, int64_t token, int64_t head) {
    return reinterpret_cast<T*>(static_cast<char*>(view.data) + token * view.token_stride +
                                head * view.head_stride);
}

// Calls move(element of the page, element of the row) for one head of one token.
template <class T, class Move>
void each_element(const Pages<T>& pages, int64_t slot, int64_t head, T* k, T* v, Move move) {
    const PackedLayout& p = pages.layout;
    T* k_page = pages.k_at(slot, head);
    for (int64_t d = 0; d < p.head_dim_k; ++d) {
        move(k_page[k_dim(p, d)], k[d]);
    }
    T* v_page = pages.v_at(slot, head);
    for (int64_t d = 0; d < p.head_dim_v; ++d) {
        move(v_page[v_dim(p, d)], v[d]);
    }
}

template <class T, class Move>
void each_token(const LayerStore& store, const View& k, const View& v,
                std::span<const int64_t> slots, int64_t begin, int64_t end, Move move) {
    const Pages<T> pages = pages_of<T>(store);
    for (int64_t head = 0; head < store.geometry.num_kv_heads; ++head) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t slot = slots[static_cast<std::size_t>(i)];
            if (slot >= 0) {
                each_element(pages, slot, head, row_of<T>(k, i, head), row_of<T>(v, i, head), move);
            }
        }
    }
}

template <class Move>
void each_token(const LayerStore& store, const View& k, const View& v,
                std::span<const int64_t> slots, int64_t begin, int64_t end, Move move) {
    if (size_of(store.geometry.dtype) == 4) {
        each_token<uint32_t>(store, k, v, slots, begin, end, move);
    } else {
        each_token<uint16_t>(store, k, v, slots, begin, end, move);
    }
}

// Dense views of `tokens` tokens in one block.
struct Staging {
    View k, v;
};

Staging stage(void* memory, const KvGeometry& kv, int64_t tokens) {
    const int64_t k_head = kv.head_dim_k * size_of(kv.dtype);
    const int64_t v_head = kv.head_dim_v * size_of(kv.dtype);
    char* k = static_cast<char*>(memory);
    return {{k, kv.num_kv_heads * k_head, k_head},
            {k + tokens * kv.num_kv_heads * k_head, kv.num_kv_heads * v_head, v_head}};
}

}  // namespace

void write_slots(const LayerStore& store, const View& k, const View& v,
                 std::span<const int64_t> slots, int64_t begin, int64_t end) {
    each_token(store, k, v, slots, begin, end, [](auto& page, auto& row) { page = row; });
}

void read_slots(const LayerStore& store, const View& k, const View& v,
                std::span<const int64_t> slots, int64_t begin, int64_t end) {
    each_token(store, k, v, slots, begin, end, [](auto& page, auto& row) { row = page; });
}

void write_all(ThreadPool& pool, const LayerStore& store, const View& k, const View& v,
               std::span<const int64_t> slots) {
    const auto count = static_cast<int64_t>(slots.size());
    in_parts(pool, count, count * token_bytes(store.geometry),
             [&](int64_t begin, int64_t end) { write_slots(store, k, v, slots, begin, end); });
}

void read_all(ThreadPool& pool, const LayerStore& store, const View& k, const View& v,
              std::span<const int64_t> slots) {
    const auto count = static_cast<int64_t>(slots.size());
    in_parts(pool, count, count * token_bytes(store.geometry),
             [&](int64_t begin, int64_t end) { read_slots(store, k, v, slots, begin, end); });
}

void copy_slots(std::span<const LayerStore> stores, std::span<const int64_t> from,
                std::span<const int64_t> to) {
    const int64_t tokens = static_cast<int64_t>(from.size());
    int64_t bytes = 0;
    for (const LayerStore& store : stores) {
        bytes = std::max(bytes, tokens * token_bytes(store.geometry));
    }
    if (bytes == 0) {
        return;
    }
    const Block memory = allocate_block(bytes);
    for (const LayerStore& store : stores) {
        const Staging s = stage(memory.get(), store.geometry, tokens);
        read_slots(store, s.k, s.v, from, 0, tokens);
        write_slots(store, s.k, s.v, to, 0, tokens);
    }
}

}  // namespace relayattn::cpu
