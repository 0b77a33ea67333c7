// How groups become items: query tokens in tiles, KV in chunks that balance the workers.
#include <algorithm>
#include <limits>

#include "impl/core/plan/planner.h"

namespace relayattn {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

// Where rows are merged anyway, a cut costs little, and short items leave no worker behind.
double Planner::few_slowness() const {
    constexpr double least_beside_relays = 3;
    const auto most = static_cast<double>(options_.figures.few_beside);
    const double beside = static_cast<double>(num_tails_ * options_.shape.kv.num_kv_heads) /
                          static_cast<double>(options_.figures.num_workers);
    return std::clamp(beside, relay_runs_ > 0 ? std::min(least_beside_relays, most) : 1, most);
}

void Planner::emit_all(WorkList& work, double target_ns) {
    few_slowness_ = few_slowness();
    work.items.clear();
    work.pieces.clear();
    partials_of_.assign(work.tokens.size(), 0);
    if (relay_runs_ > 0)
        emit_relays(work, target_ns);
    emit_rows(work, target_ns);
    number_partials(work);
}

// A chain's runs need not follow each other in the forest.
void Planner::emit_relays(WorkList& work, double target_ns) {
    for (size_t r = 0; r < forest_->runs.size(); ++r) {
        const Branch& head = branches_[r];
        if (!head.relayed || head.chain != static_cast<int32_t>(r) || head.chain_length == 0)
            continue;
        group_pieces_.clear();
        for (int32_t run = head.chain_end;; run = forest_->runs[static_cast<size_t>(run)].parent) {
            add_piece(run);
            if (run == head.chain)
                break;
        }
        std::ranges::reverse(group_pieces_);
        emit_group({group_pieces_.data(), static_cast<int32_t>(group_pieces_.size()),
                    head.chain_length, head.first_token, head.tokens},
                   work, target_ns);
    }
}

// What each row reads for itself.
void Planner::emit_rows(WorkList& work, double target_ns) {
    work.items.reserve(work.items.size() + row_first_.size());
    work.pieces.reserve(work.pieces.size() + row_first_.size());
    int32_t run = -1;
    int32_t above_tokens = gather_own(run);  // the pieces of runs are the same for brothers
    const bool is_plain = !has_tree_ && !options_.batch_invariant;
    const Row* row = forest_->rows.data();
    for (const int32_t first : row_first_) {
        const Row& at = *row++;
        if (first < 0)
            continue;
        if (at.run != run) {
            run = at.run;
            above_tokens = gather_own(run);
        }
        if (above_tokens + at.tail.num_tokens == 0)
            continue;
        if (!is_plain || above_tokens > 0 || !emit_alone(at, first, work, target_ns))
            emit_row(at, first, above_tokens, work, target_ns);
    }
}

// Nearly all rows of a decode step: one token and its tail are one item. Says whether it was so.
inline bool Planner::emit_alone(const Row& row, int32_t first, WorkList& work, double target_ns) {
    const Piece& tail = row.tail;
    const QueryToken& token = work.tokens[static_cast<size_t>(row.first_token)];
    if (row.num_tokens != 1 || token.visible_begin > tail.position ||
        token.visible_end != tail.position + tail.num_tokens ||
        one_token_.ns(tail.num_tokens) * few_slowness_ > target_ns)
        return false;
    const auto piece = static_cast<int32_t>(work.pieces.size());
    work.pieces.push_back(tail);
    work.items.push_back({piece, 1, tail.num_tokens, first, 1, 0, 0, 0});
    ++partials_of_[static_cast<size_t>(row.first_token)];
    return true;
}

void Planner::emit_row(const Row& row, int32_t first, int32_t above_tokens, WorkList& work,
                       double target_ns) {
    group_pieces_.back() = row.tail;
    const auto num_pieces =
        static_cast<int32_t>(group_pieces_.size()) - (row.tail.num_tokens == 0 ? 1 : 0);
    emit_group({group_pieces_.data(), num_pieces, above_tokens + row.tail.num_tokens, first,
                row.num_tokens},
               work, target_ns);
}

void Planner::add_piece(int32_t index) {
    const Run& run = forest_->runs[static_cast<size_t>(index)];
    if (run.length > 0)
        group_pieces_.push_back({run.table_offset, run.first_slot, run.length, run.position});
}

// The pieces of a run and of those above it that are not relayed, and room for a tail after them.
int32_t Planner::gather_own(int32_t run) {
    group_pieces_.clear();
    if (run < 0) {
        group_pieces_.emplace_back();
        return 0;
    }
    const Branch& branch = branches_[static_cast<size_t>(run)];
    for (int32_t r = branch.relayed ? branch.own_above : run; r >= 0;
         r = branches_[static_cast<size_t>(r)].own_above)
        add_piece(r);
    std::ranges::reverse(group_pieces_);
    group_pieces_.emplace_back();
    return branch.own_tokens;
}

void Planner::emit_group(const Group& group, WorkList& work, double target_ns) {
    // Even tiles: 5 tokens in tiles of 4 are 3 + 2, not 4 + 1.
    const int64_t num_tokens = group.num_tokens;
    const int64_t tiles = (num_tokens + tile_tokens_ - 1) / tile_tokens_;
    for (int64_t i = 0; i < tiles; ++i) {
        const auto first = static_cast<int32_t>(num_tokens * i / tiles);
        const auto end = static_cast<int32_t>(num_tokens * (i + 1) / tiles);
        const Tile tile = tile_of(work, group.first_token + first, end - first);
        const size_t before = work.items.size();
        emit_tile(group, tile, work, target_ns);
        const auto added = static_cast<int32_t>(work.items.size() - before);
        for (int32_t t = tile.first; t < tile.first + tile.count; ++t)
            partials_of_[static_cast<size_t>(work.item_tokens[static_cast<size_t>(t)])] += added;
    }
}

Planner::Tile Planner::tile_of(const WorkList& work, int32_t first, int32_t count) const {
    int32_t seen_begin = std::numeric_limits<int32_t>::max(), seen_end = 0;
    int32_t all_begin = 0, all_end = std::numeric_limits<int32_t>::max();
    const int32_t* tokens = work.item_tokens.data() + first;
    for (int32_t i = 0; i < count; ++i) {
        const QueryToken& token = work.tokens[static_cast<size_t>(tokens[i])];
        seen_begin = std::min(seen_begin, token.visible_begin);
        seen_end = std::max(seen_end, token.visible_end);
        all_begin = std::max(all_begin, token.visible_begin);
        all_end = std::min(all_end, token.visible_end);
        if (has_tree_)
            all_end = std::min(all_end, token.new_begin);
    }
    return {first, count, {seen_begin, seen_end}, {all_begin, all_end}};
}

void Planner::emit_tile(const Group& group, const Tile& tile, WorkList& work, double target_ns) {
    const Piece& last = group.pieces[group.num_pieces - 1];
    const Range all{group.pieces[0].position, int64_t{last.position} + last.num_tokens};
    const Range kv{std::max(tile.seen.begin, all.begin), std::min(tile.seen.end, all.end)};
    if (kv.begin >= kv.end)
        return;
    if (options_.batch_invariant)
        return emit_invariant(group, tile, kv, work);
    const int64_t rows = tile.count * options_.shape.rows_per_token;
    const int64_t chunk = chunk_length(kv.end - kv.begin, rows, target_ns);
    if (kv.begin == all.begin && kv.end == all.end && chunk >= kv.end - kv.begin)
        return emit_whole(group, tile, work);
    for (int64_t begin = kv.begin; begin < kv.end; begin += chunk)
        emit_part(group, tile, {begin, std::min(begin + chunk, kv.end)}, work);
}

// Chunks are cut where positions say, whatever this tile's rows happen to see.
void Planner::emit_invariant(const Group& group, const Tile& tile, Range kv, WorkList& work) {
    const int64_t chunk = options_.figures.invariant_chunk;
    kv.begin = std::max<int64_t>(kv.begin / chunk * chunk, group.pieces[0].position);
    while (kv.begin < kv.end) {
        const int64_t next = std::min((kv.begin / chunk + 1) * chunk, kv.end);
        emit_part(group, tile, {kv.begin, next}, work);
        kv.begin = next;
    }
}

int64_t Planner::chunk_length(int64_t kv_tokens, int64_t rows, double target_ns) const {
    const DeviceFigures& figures = options_.figures;
    const double cost =
        unit_.of(rows).ns(kv_tokens) * (rows <= figures.few_rows ? few_slowness_ : 1);
    if (cost <= target_ns)
        return kv_tokens;
    const int64_t most = std::max<int64_t>(1, kv_tokens / figures.min_chunk);
    const auto wanted = static_cast<int64_t>(std::min(cost / std::max(target_ns, 1.0), 1e6) + 0.99);
    const int64_t chunks = std::clamp<int64_t>(wanted, 1, most);
    const int64_t chunk = (kv_tokens + chunks - 1) / chunks;
    // One item more than workers with many rows is a round more; small ones share a worker.
    return rows <= figures.few_rows && chunk >= figures.chunk_granule
               ? chunk / figures.chunk_granule * figures.chunk_granule
               : round_up(chunk, figures.chunk_granule);
}

// An item of all of the group's pieces, the common case.
void Planner::emit_whole(const Group& group, const Tile& tile, WorkList& work) {
    const auto first_piece = static_cast<int32_t>(work.pieces.size());
    for (int32_t i = 0; i < group.num_pieces; ++i)
        work.pieces.push_back(group.pieces[i]);
    add_item(tile, first_piece, group.kv_tokens, work);
}

void Planner::emit_part(const Group& group, const Tile& tile, Range kv, WorkList& work) {
    // Pieces are built in place: a copy right after the fields are written would wait for them to
    // reach the cache.
    const auto first_piece = static_cast<int32_t>(work.pieces.size());
    int32_t kv_tokens = 0;
    for (int32_t i = 0; i < group.num_pieces; ++i) {
        const Piece& whole = group.pieces[i];
        const auto skip = static_cast<int32_t>(std::max<int64_t>(0, kv.begin - whole.position));
        const auto end =
            static_cast<int32_t>(std::min<int64_t>(whole.num_tokens, kv.end - whole.position));
        if (skip >= end)
            continue;
        Piece& piece = work.pieces.emplace_back(whole);
        piece.num_tokens = end - skip;
        kv_tokens += piece.num_tokens;
        if (skip == 0)
            continue;
        const int64_t slot = int64_t{piece.first_slot} + skip;
        piece.table_offset += static_cast<int32_t>(slot / options_.page_size);
        piece.first_slot = static_cast<int32_t>(slot % options_.page_size);
        piece.position += skip;
    }
    if (kv_tokens > 0)
        add_item(tile, first_piece, kv_tokens, work);
}

void Planner::add_item(const Tile& tile, int32_t first_piece, int32_t kv_tokens, WorkList& work) {
    const Piece& last = work.pieces.back();
    const int64_t begin = work.pieces[static_cast<size_t>(first_piece)].position;
    const int64_t end = int64_t{last.position} + last.num_tokens;
    Item& item = work.items.emplace_back();
    item.first_piece = first_piece;
    item.num_pieces = static_cast<int32_t>(work.pieces.size()) - first_piece;
    item.num_kv_tokens = kv_tokens;
    item.first_token = tile.first;
    item.num_tokens = tile.count;
    item.masked = begin < tile.all_see.begin || end > tile.all_see.end ? 1 : 0;
    item.tree = has_tree_ && end > tile.all_see.end ? 1 : 0;
}

}  // namespace relayattn
