#include "impl/cuda/work_layout.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

namespace relayattn::cuda {
namespace {

constexpr int64_t k_alignment = 128;
constexpr int64_t k_cheap_gap = 1 << 16;  // bytes that cross the bus while another copy starts

// In the arena each array starts at a multiple of its element, so that it can be indexed from the
// arena's start.
static_assert(sizeof(ItemRecord) % sizeof(Piece) == 0 && sizeof(Piece) % sizeof(int32_t) == 0);

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
        int64_t end = bytes<ItemRecord>(static_cast<int64_t>(work.items.size()));
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

// Where the tokens of an item are found: ~token if they follow each other, else in item_tokens.
inline int32_t tokens_place(const int32_t* item_tokens, const Item& item, const Bases& bases) {
    const int32_t* tokens = item_tokens + item.first_token;
    int32_t strays = 0;
    for (int32_t i = 1; i < item.num_tokens; ++i)
        strays |= tokens[i] - tokens[0] - i;
    return strays == 0 ? ~tokens[0] : item.first_token + bases.item_tokens;
}

// What records are made of. A copy of the list's pointers: for all that compilers know, writing a
// record could change the list.
struct Source {
    explicit Source(const WorkList& work)
        : pieces(work.pieces.data()),
          item_tokens(work.item_tokens.data()),
          tokens(work.tokens.data()),
          slots(work.slots.data()),
          pages(work.page_table.data()),
          num_pages(work.page_table.size()) {}

    const Piece* pieces;
    const int32_t* item_tokens;
    const QueryToken* tokens;
    const int64_t* slots;
    const int32_t* pages;
    size_t num_pages;
};

// Copying as many pages as a record has room for costs less than counting them.
inline void copy_pages(const Source& from, size_t first, int32_t* to) {
    constexpr size_t many = k_record_pages;
    if (first + many <= from.num_pages)
        std::memcpy(to, from.pages + first, many * sizeof *to);
    else
        std::copy_n(from.pages + first, from.num_pages - first, to);
}

// `index` is the record's own.
inline void fill_record(const Source& from, const Item& item, size_t index, const Bases& bases,
                        int64_t page_size, ItemRecord& record) {
    ItemHead& head = record.head;
    head.item = item;
    head.item.first_piece = item.first_piece + bases.pieces;
    head.item.first_token = tokens_place(from.item_tokens, item, bases);
    const int32_t token = from.item_tokens[item.first_token];
    head.append_from = from.slots[token] >= 0 ? from.tokens[token].new_begin : k_no_position;
    head.append_token = token - from.tokens[token].position;
    if (item.num_pieces == 0)
        return;
    const Piece& piece = from.pieces[item.first_piece];
    head.piece = piece;
    head.piece.table_offset = piece.table_offset + bases.page_table;
    // The first piece's pages lie in the record itself if that has room for all.
    if (piece.first_slot + int64_t{piece.num_tokens} > k_record_pages * page_size)
        return;
    head.piece.table_offset = static_cast<int32_t>(
        (index * sizeof(ItemRecord) + offsetof(ItemRecord, pages)) / sizeof(int32_t));
    copy_pages(from, static_cast<size_t>(piece.table_offset), record.pages);
}

void pack_arena(const WorkList& work, const Bases& bases, int64_t page_size, char* arena) {
    auto* items = reinterpret_cast<ItemRecord*>(arena);
    const Source from(work);
    size_t index = 0;
    for (const Item& item : work.items) {
        fill_record(from, item, index, bases, page_size, items[index]);
        ++index;
    }
    auto* pieces = reinterpret_cast<Piece*>(arena) + bases.pieces;
    for (const Piece& piece : work.pieces) {
        *pieces = piece;
        pieces->table_offset = piece.table_offset + bases.page_table;
        ++pieces;
    }
    const auto at = [arena](int32_t first) { return arena + bytes<int32_t>(first); };
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

WorkLayout::WorkLayout(const PlanShape& shape) : page_size_(shape.page_size) {
    tokens_ = aligned(bytes<WorkCounts>(1));
    slots_ = aligned(tokens_ + bytes<QueryToken>(shape.max_tokens));
    merged_tokens_ = aligned(slots_ + bytes<int64_t>(shape.max_tokens));
    arena_ = aligned(merged_tokens_ + bytes<int32_t>(shape.max_tokens));
    size_ = aligned(
        arena_ + bytes<ItemRecord>(shape.max_items) + bytes<Piece>(shape.max_pieces) +
        bytes<int32_t>(shape.max_table_entries + shape.max_item_tokens + shape.max_partials));
}

DeviceWork WorkLayout::at(const char* base) const {
    DeviceWork work{};
    work.counts = reinterpret_cast<const WorkCounts*>(base);
    work.tokens = reinterpret_cast<const QueryToken*>(base + tokens_);
    work.slots = reinterpret_cast<const int64_t*>(base + slots_);
    work.merged_tokens = reinterpret_cast<const int32_t*>(base + merged_tokens_);
    const char* arena = base + arena_;
    work.items = reinterpret_cast<const ItemRecord*>(arena);
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
    for (const QueryToken& token : work.tokens) {
        *tokens = token;
        tokens->first_partial = token.first_partial + bases.partial_index;
        ++tokens;
    }
    put(base + slots_, work.slots);
    put(base + merged_tokens_, work.merged_tokens);
    pack_arena(work, bases, page_size_, base + arena_);
    Stretches stretches;
    stretches.add(0, bytes<WorkCounts>(1));
    stretches.add(tokens_, bytes(work.tokens));
    stretches.add(slots_, bytes(work.slots));
    stretches.add(merged_tokens_, bytes(work.merged_tokens));
    stretches.add(arena_, bases.size);
    return stretches;
}

// What names a row's first new token elsewhere may stay behind: only the row's last item reaches
// it.
void WorkLayout::patch(const WorkList& work, std::span<const RowEnd> ends,
                       std::span<const int32_t> paged, char* base) const {
    const Bases bases(work);
    auto* tokens = reinterpret_cast<QueryToken*>(base + tokens_);
    char* arena = base + arena_;
    auto* items = reinterpret_cast<ItemRecord*>(arena);
    auto* pieces = reinterpret_cast<Piece*>(arena) + bases.pieces;
    put(base + slots_, work.slots);
    for (size_t i = 0; i < ends.size(); ++i) {
        const RowEnd& end = ends[i];
        const QueryToken& token = work.tokens[i];
        const int32_t piece_tokens = work.pieces[static_cast<size_t>(end.piece)].num_tokens;
        tokens[i].position = token.position;
        tokens[i].visible_end = token.visible_end;
        tokens[i].new_begin = token.new_begin;
        pieces[end.piece].num_tokens = piece_tokens;
        ItemHead& head = items[end.item].head;
        head.item.num_kv_tokens = work.items[static_cast<size_t>(end.item)].num_kv_tokens;
        head.append_from = token.new_begin;
        head.append_token = static_cast<int32_t>(i) - token.position;
        if (head.item.first_piece == bases.pieces + end.piece)
            head.piece.num_tokens = piece_tokens;
    }
    auto* table = reinterpret_cast<int32_t*>(arena) + bases.page_table;
    for (const int32_t row : paged) {
        const RowEnd& end = ends[static_cast<size_t>(row)];
        const int32_t first = work.pieces[static_cast<size_t>(end.piece)].table_offset;
        std::copy_n(work.page_table.data() + first, end.table - first, table + first);
        const auto item = static_cast<size_t>(end.item);
        fill_record(Source(work), work.items[item], item, bases, page_size_, items[item]);
    }
}

WorkCounts counts_of(const WorkList& work) {
    WorkCounts counts{};
    counts.num_many = work.num_many;
    counts.num_items = static_cast<int32_t>(work.items.size());
    counts.num_tokens = static_cast<int32_t>(work.tokens.size());
    counts.num_merged = static_cast<int32_t>(work.merged_tokens.size());
    counts.padded_tokens = static_cast<int32_t>(work.padded_tokens);
    counts.tree_mask = work.tree_mask;
    counts.tree_stride = work.tree_stride;
    return counts;
}

}  // namespace relayattn::cuda
