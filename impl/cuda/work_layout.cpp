#include "impl/cuda/work_layout.h"

#include <cstring>
#include <vector>

namespace relayattn::cuda {
namespace {

constexpr int64_t k_alignment = 128;
constexpr int64_t k_cheap_gap = 1 << 16;  // bytes that cross the bus while another copy starts

// In the arena each array starts at a multiple of its element, so that it can be indexed from the
// arena's start.
static_assert(sizeof(Item) % sizeof(Piece) == 0 && sizeof(Piece) % sizeof(int32_t) == 0);

template <class T>
int64_t bytes(int64_t count) {
    return count * static_cast<int64_t>(sizeof(T));
}

template <class T>
int64_t bytes(const std::vector<T>& values) {
    return bytes<T>(static_cast<int64_t>(values.size()));
}

int64_t aligned(int64_t offset) {
    return (offset + k_alignment - 1) / k_alignment * k_alignment;
}

template <class T>
void put(char* to, const std::vector<T>& values) {
    if (!values.empty())
        std::memcpy(to, values.data(), values.size() * sizeof(T));
}

// First indexes of the arena's arrays, counted in their own elements from the arena's start.
struct Bases {
    explicit Bases(const WorkList& work) {
        int64_t end = bytes(work.items);
        const auto place = [&end](const auto& values) {
            using Element = typename std::decay_t<decltype(values)>::value_type;
            const int64_t first = end / static_cast<int64_t>(sizeof(Element));
            end += bytes(values);
            return static_cast<int32_t>(first);
        };
        pieces = place(work.pieces);
        page_table = place(work.page_table);
        item_tokens = place(work.item_tokens);
        partial_index = place(work.partial_index);
        size = end;
    }

    int32_t pieces, page_table, item_tokens, partial_index;
    int64_t size;
};

void pack_arena(const WorkList& work, const Bases& bases, char* arena) {
    auto* items = reinterpret_cast<Item*>(arena);
    for (size_t i = 0; i < work.items.size(); ++i) {
        items[i] = work.items[i];
        items[i].first_piece += bases.pieces;
        items[i].first_token += bases.item_tokens;
    }
    auto* pieces = reinterpret_cast<Piece*>(arena) + bases.pieces;
    for (size_t i = 0; i < work.pieces.size(); ++i) {
        pieces[i] = work.pieces[i];
        pieces[i].table_offset += bases.page_table;
    }
    const auto at = [arena](int32_t index) { return arena + bytes<int32_t>(index); };
    put(at(bases.page_table), work.page_table);
    put(at(bases.item_tokens), work.item_tokens);
    put(at(bases.partial_index), work.partial_index);
}

}  // namespace

void Stretches::add(int64_t begin, int64_t size) {
    if (size == 0)
        return;
    if (count_ > 0 && begin - list_[count_ - 1].end <= k_cheap_gap)
        list_[count_ - 1].end = begin + size;
    else
        list_[count_++] = {begin, begin + size};
}

WorkLayout::WorkLayout(const PlanShape& shape) {
    tokens_ = aligned(bytes<WorkCounts>(1));
    slots_ = aligned(tokens_ + bytes<QueryToken>(shape.max_tokens));
    merged_tokens_ = aligned(slots_ + bytes<int64_t>(shape.max_tokens));
    arena_ = aligned(merged_tokens_ + bytes<int32_t>(shape.max_tokens));
    size_ = aligned(
        arena_ + bytes<Item>(shape.max_items) + bytes<Piece>(shape.max_pieces) +
        bytes<int32_t>(shape.max_table_entries + shape.max_item_tokens + shape.max_partials));
}

DeviceWork WorkLayout::at(const char* base) const {
    DeviceWork work{};
    work.counts = reinterpret_cast<const WorkCounts*>(base);
    work.tokens = reinterpret_cast<const QueryToken*>(base + tokens_);
    work.slots = reinterpret_cast<const int64_t*>(base + slots_);
    work.merged_tokens = reinterpret_cast<const int32_t*>(base + merged_tokens_);
    const char* arena = base + arena_;
    work.items = reinterpret_cast<const Item*>(arena);
    work.pieces = reinterpret_cast<const Piece*>(arena);
    work.page_table = reinterpret_cast<const int32_t*>(arena);
    work.item_tokens = reinterpret_cast<const int32_t*>(arena);
    work.partial_index = reinterpret_cast<const int32_t*>(arena);
    return work;
}

Stretches WorkLayout::pack(const WorkList& work, char* base) const {
    const WorkCounts counts = counts_of(work);
    std::memcpy(base, &counts, sizeof counts);
    const Bases bases(work);
    auto* tokens = reinterpret_cast<QueryToken*>(base + tokens_);
    for (size_t i = 0; i < work.tokens.size(); ++i) {
        tokens[i] = work.tokens[i];
        tokens[i].first_partial += bases.partial_index;
    }
    put(base + slots_, work.slots);
    put(base + merged_tokens_, work.merged_tokens);
    pack_arena(work, bases, base + arena_);
    Stretches stretches;
    stretches.add(0, bytes<WorkCounts>(1));
    stretches.add(tokens_, bytes(work.tokens));
    stretches.add(slots_, bytes(work.slots));
    stretches.add(merged_tokens_, bytes(work.merged_tokens));
    stretches.add(arena_, bases.size);
    return stretches;
}

WorkCounts counts_of(const WorkList& work) {
    WorkCounts counts{};
    counts.num_many = work.num_many;
    counts.num_items = static_cast<int32_t>(work.items.size());
    counts.num_tokens = static_cast<int32_t>(work.tokens.size());
    counts.num_merged = static_cast<int32_t>(work.merged_tokens.size());
    counts.padded_tokens = static_cast<int32_t>(work.padded_tokens);
    return counts;
}

}  // namespace relayattn::cuda
