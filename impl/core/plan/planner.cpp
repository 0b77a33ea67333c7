#include "impl/core/plan/planner.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <span>

namespace relayattn {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

PlanSummary Planner::plan(const Forest& forest, const PlannerOptions& options, WorkList& work) {
    forest_ = &forest;
    options_ = options;
    unit_ = UnitCost(options.figures, options.shape);
    tile_tokens_ = static_cast<int32_t>(
        std::max<int64_t>(1, options.figures.tile_rows / options.shape.rows_per_token));
    has_tree_ = work.tree_mask != nullptr;
    count_branches();
    order_tokens(work);
    choose_relays();
    find_groups();
    const double total = total_ns();
    const auto workers = static_cast<double>(options_.figures.num_workers);
    double target = total / workers * options_.figures.balance;
    emit_all(work, target);
    while (options_.max_partials > 0 && work.num_partials > options_.max_partials &&
           target < total) {
        target *= 2;
        emit_all(work, target);
    }
    if (options_.max_partials > 0 && work.num_partials > options_.max_partials &&
        options_.mode != PlanMode::flat) {
        // Flat and uncut needs no partials at all, so it fits any plan.
        PlannerOptions flat = options;
        flat.mode = PlanMode::flat;
        flat.figures.min_chunk = std::numeric_limits<int32_t>::max();
        return plan(forest, flat, work);
    }
    order_items(work);

    PlanSummary summary;
    summary.items = static_cast<int64_t>(work.items.size());
    summary.runs = static_cast<int64_t>(forest.runs.size());
    for (const Branch& branch : branches_)
        summary.relay_runs += branches_[static_cast<size_t>(branch.chain)].relayed ? 1 : 0;
    summary.partials = work.num_partials;
    for (const Group& group : groups_)
        summary.kv_bytes += group.kv_tokens * options_.shape.token_bytes();
    summary.kv_bytes *= options_.shape.kv.num_kv_heads;
    summary.predicted_ns = static_cast<int64_t>(total / workers);
    return summary;
}

void Planner::count_branches() {
    branches_.assign(forest_->runs.size(), Branch{});
    for (const Row& row : forest_->rows) {
        if (row.run < 0 || row.num_tokens == 0)
            continue;
        Branch& leaf = branches_[static_cast<size_t>(row.run)];
        leaf.sequences += 1;
        leaf.tokens += row.num_tokens;
    }
    // Brothers follow each other as a rule: their sum goes to the parent once.
    int32_t parent = -1, sequences = 0, tokens = 0;
    const auto add_to_parent = [&] {
        if (parent < 0)
            return;
        branches_[static_cast<size_t>(parent)].sequences += sequences;
        branches_[static_cast<size_t>(parent)].tokens += tokens;
    };
    for (size_t r = forest_->runs.size(); r-- > 0;) {
        if (forest_->runs[r].parent != parent) {
            add_to_parent();
            parent = forest_->runs[r].parent;
            sequences = tokens = 0;
        }
        sequences += branches_[r].sequences;
        tokens += branches_[r].tokens;
    }
    add_to_parent();
    for (size_t r = 0; r < forest_->runs.size(); ++r) {
        const int32_t above = forest_->runs[r].parent;
        Branch& branch = branches_[r];
        const bool goes_on = !options_.batch_invariant && above >= 0 &&
                             branches_[static_cast<size_t>(above)].sequences == branch.sequences;
        branch.chain =
            goes_on ? branches_[static_cast<size_t>(above)].chain : static_cast<int32_t>(r);
        branches_[static_cast<size_t>(branch.chain)].chain_length += forest_->runs[r].length;
    }
}

void Planner::order_tokens(WorkList& work) {
    const size_t num_runs = forest_->runs.size();
    cursor_.assign(num_runs, 0);
    int32_t next = 0;
    for (size_t r = 0; r < num_runs; ++r) {
        const int32_t parent = forest_->runs[r].parent;
        int32_t& from = parent < 0 ? next : cursor_[static_cast<size_t>(parent)];
        branches_[r].first_token = cursor_[r] = from;
        from += branches_[r].tokens;
    }
    row_first_.resize(forest_->rows.size());
    work.item_tokens.resize(static_cast<size_t>(next));
    for (size_t i = 0; i < forest_->rows.size(); ++i) {
        const Row& row = forest_->rows[i];
        if (row.run < 0 || row.num_tokens == 0)
            continue;
        int32_t& place = cursor_[static_cast<size_t>(row.run)];
        row_first_[i] = place;
        for (int32_t t = 0; t < row.num_tokens; ++t)
            work.item_tokens[static_cast<size_t>(place++)] = row.first_token + t;
    }
}

void Planner::choose_relays() {
    for (size_t r = 0; r < branches_.size(); ++r) {
        Branch& branch = branches_[r];
        const int32_t parent = forest_->runs[r].parent;
        if (parent >= 0) {
            const Branch& above = branches_[static_cast<size_t>(parent)];
            branch.under_relay =
                above.under_relay || branches_[static_cast<size_t>(above.chain)].relayed;
        }
        if (branch.chain != static_cast<int32_t>(r) || branch.tokens == 0)
            continue;
        if (options_.batch_invariant) {
            branch.relayed = true;  // one form for all, whoever shares it
        } else if (branch.sequences > 1 && options_.mode != PlanMode::flat) {
            branch.relayed = options_.mode == PlanMode::relay ||
                             relay_ns(options_.figures, options_.shape, branch.chain_length,
                                      branch.tokens, !branch.under_relay) <
                                 flat_ns(options_.figures, options_.shape, branch.chain_length,
                                         branch.tokens, branch.sequences);
        }
    }
}

void Planner::add_piece(const Run& run) {
    if (run.length == 0)
        return;
    group_pieces_.push_back({run.table_offset, run.first_slot, run.length, run.position});
    Group& group = groups_.back();
    group.num_pieces += 1;
    group.kv_tokens += run.length;
}

void Planner::find_groups() {
    groups_.clear();
    group_pieces_.clear();
    const auto open = [&](int32_t first_token, int32_t num_tokens) {
        groups_.push_back(
            {static_cast<int32_t>(group_pieces_.size()), 0, first_token, num_tokens, 0});
    };
    const std::vector<Run>& runs = forest_->runs;
    // A chain's runs need not follow each other in the forest; its last run finds them by going up.
    std::vector<int32_t>& last = cursor_;
    last.assign(runs.size(), -1);
    for (size_t r = 0; r < runs.size(); ++r)
        last[static_cast<size_t>(branches_[r].chain)] = static_cast<int32_t>(r);
    const auto add_chain = [&](int32_t from, const auto& wanted) {
        const size_t first_piece = group_pieces_.size();
        for (int32_t r = from; r >= 0; r = runs[static_cast<size_t>(r)].parent) {
            if (wanted(branches_[static_cast<size_t>(r)]))
                add_piece(runs[static_cast<size_t>(r)]);
        }
        std::reverse(group_pieces_.begin() + static_cast<std::ptrdiff_t>(first_piece),
                     group_pieces_.end());
    };
    for (size_t r = 0; r < runs.size(); ++r) {
        const Branch& head = branches_[r];
        if (head.chain != static_cast<int32_t>(r) || !head.relayed)
            continue;
        open(head.first_token, head.tokens);
        add_chain(last[r], [&](const Branch& b) { return b.chain == head.chain; });
    }
    for (size_t i = 0; i < forest_->rows.size(); ++i) {
        const Row& row = forest_->rows[i];
        if (row.run < 0 || row.num_tokens == 0)
            continue;
        open(row_first_[i], row.num_tokens);
        add_chain(row.run, [&](const Branch& b) {
            return !branches_[static_cast<size_t>(b.chain)].relayed;
        });
        if (groups_.back().num_pieces == 0)
            groups_.pop_back();
    }
}

double Planner::total_ns() const {
    double total = 0;
    const DeviceFigures& figures = options_.figures;
    for (const Group& group : groups_) {
        const int64_t rows = group.num_tokens * options_.shape.rows_per_token;
        if (rows <= figures.tile_rows) {
            total += unit_.ns(group.kv_tokens, rows);
            continue;
        }
        const int64_t tiles = (rows + figures.tile_rows - 1) / figures.tile_rows;
        total += static_cast<double>(tiles) * unit_.ns(group.kv_tokens, figures.tile_rows);
    }
    return total * static_cast<double>(options_.shape.kv.num_kv_heads);
}

void Planner::emit_all(WorkList& work, double target_ns) {
    work.items.clear();
    work.pieces.clear();
    for (const Group& group : groups_)
        emit_group(group, work, target_ns);
    assign_partials(work);
}

void Planner::emit_group(const Group& group, WorkList& work, double target_ns) {
    if (group.num_tokens <= tile_tokens_) {
        emit_tile(group, group.first_token, group.num_tokens, work, target_ns);
        return;
    }
    // Even tiles: 5 tokens in tiles of 4 are 3 + 2, not 4 + 1.
    const int32_t tiles = (group.num_tokens + tile_tokens_ - 1) / tile_tokens_;
    for (int32_t i = 0; i < tiles; ++i) {
        const auto first = static_cast<int32_t>(int64_t{group.num_tokens} * i / tiles);
        const auto end = static_cast<int32_t>(int64_t{group.num_tokens} * (i + 1) / tiles);
        emit_tile(group, group.first_token + first, end - first, work, target_ns);
    }
}

void Planner::emit_tile(const Group& group, int32_t first, int32_t count, WorkList& work,
                        double target_ns) {
    Range seen{std::numeric_limits<int64_t>::max(), 0};
    Range all_see{0, std::numeric_limits<int64_t>::max()};
    for (int32_t i = first; i < first + count; ++i) {
        const QueryToken& token =
            work.tokens[static_cast<size_t>(work.item_tokens[static_cast<size_t>(i)])];
        seen.begin = std::min<int64_t>(seen.begin, token.visible_begin);
        seen.end = std::max<int64_t>(seen.end, token.visible_end);
        all_see.begin = std::max<int64_t>(all_see.begin, token.visible_begin);
        all_see.end = std::min<int64_t>(all_see.end, token.visible_end);
        if (has_tree_)
            all_see.end = std::min<int64_t>(all_see.end, token.new_begin);
    }
    const Piece* pieces = &group_pieces_[static_cast<size_t>(group.first_piece)];
    const Piece& last = pieces[group.num_pieces - 1];
    Range kv{std::max<int64_t>(seen.begin, pieces[0].position),
             std::min<int64_t>(seen.end, last.position + last.num_tokens)};
    if (kv.begin >= kv.end)
        return;
    if (options_.batch_invariant) {
        // Chunks are cut where positions say, whatever this tile's rows happen to see.
        const int64_t chunk = options_.figures.invariant_chunk;
        kv.begin = std::max<int64_t>(kv.begin / chunk * chunk, pieces[0].position);
        while (kv.begin < kv.end) {
            const int64_t next = std::min((kv.begin / chunk + 1) * chunk, kv.end);
            emit_item(group, first, count, {kv.begin, next}, all_see, work);
            kv.begin = next;
        }
        return;
    }
    const int64_t rows = count * options_.shape.rows_per_token;
    const int64_t chunk = chunk_length(kv.end - kv.begin, rows, target_ns);
    for (int64_t begin = kv.begin; begin < kv.end; begin += chunk)
        emit_item(group, first, count, {begin, std::min(begin + chunk, kv.end)}, all_see, work);
}

int64_t Planner::chunk_length(int64_t kv_tokens, int64_t rows, double target_ns) const {
    const DeviceFigures& figures = options_.figures;
    const double cost = unit_.ns(kv_tokens, rows);
    if (cost <= target_ns)
        return kv_tokens;
    const int64_t most = std::max<int64_t>(1, kv_tokens / figures.min_chunk);
    const auto wanted = static_cast<int64_t>(std::min(cost / std::max(target_ns, 1.0), 1e6) + 0.99);
    const int64_t chunks = std::clamp<int64_t>(wanted, 1, most);
    return round_up((kv_tokens + chunks - 1) / chunks, figures.chunk_granule);
}

void Planner::emit_item(const Group& group, int32_t first, int32_t count, Range kv, Range all_see,
                        WorkList& work) {
    // Built in place, here and for tokens: a copy right after the fields are written would wait for
    // them to reach the cache.
    const auto first_piece = static_cast<int32_t>(work.pieces.size());
    int32_t kv_tokens = 0;
    for (int32_t i = 0; i < group.num_pieces; ++i) {
        const Piece& whole = group_pieces_[static_cast<size_t>(group.first_piece + i)];
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
    if (kv_tokens == 0)
        return;
    const Piece& last = work.pieces.back();
    const int64_t begin = work.pieces[static_cast<size_t>(first_piece)].position;
    const int64_t end = last.position + last.num_tokens;
    Item& item = work.items.emplace_back();
    item.first_piece = first_piece;
    item.num_pieces = static_cast<int32_t>(work.pieces.size()) - first_piece;
    item.num_kv_tokens = kv_tokens;
    item.first_token = first;
    item.num_tokens = count;
    item.masked = begin < all_see.begin || end > all_see.end ? 1 : 0;
    item.tree = has_tree_ && end > all_see.end ? 1 : 0;
}

void Planner::assign_partials(WorkList& work) {
    partials_of_.assign(work.tokens.size(), 0);
    const auto tokens_of = [&](const Item& item) {
        return std::span<const int32_t>(work.item_tokens)
            .subspan(static_cast<size_t>(item.first_token), static_cast<size_t>(item.num_tokens));
    };
    for (const Item& item : work.items) {
        for (const int32_t token : tokens_of(item))
            ++partials_of_[static_cast<size_t>(token)];
    }
    work.num_partials = 0;
    for (Item& item : work.items) {
        const auto tokens = tokens_of(item);
        // One way to finish for all keeps results the same: whether a token has an item to itself
        // is a matter of who shares its tile.
        const bool direct = !options_.batch_invariant &&
                            std::all_of(tokens.begin(), tokens.end(), [&](int32_t token) {
                                return partials_of_[static_cast<size_t>(token)] == 1;
                            });
        item.partial = direct ? -1 : work.num_partials;
        if (direct) {
            for (const int32_t token : tokens)
                partials_of_[static_cast<size_t>(token)] = -1;
        } else {
            work.num_partials += item.num_tokens;
        }
    }
    work.merged_tokens.resize(work.tokens.size());
    size_t num_merged = 0;
    int32_t next = 0;
    for (size_t t = 0; t < work.tokens.size(); ++t) {
        QueryToken& token = work.tokens[t];
        token.num_partials = partials_of_[t];
        token.first_partial = next;
        if (token.num_partials < 0)
            continue;
        partials_of_[t] = next;
        next += token.num_partials;
        work.merged_tokens[num_merged++] = static_cast<int32_t>(t);
    }
    work.merged_tokens.resize(num_merged);
    work.partial_index.resize(static_cast<size_t>(next));
    for (const Item& item : work.items) {
        if (item.partial < 0)
            continue;
        int32_t partial = item.partial;
        for (const int32_t token : tokens_of(item))
            work.partial_index[static_cast<size_t>(partials_of_[static_cast<size_t>(token)]++)] =
                partial++;
    }
}

// Many-row items first, and in each part the longest first, by a counting sort over coarse costs:
// the order only has to be good, and it must not cost a comparison sort every step.
void Planner::order_items(WorkList& work) {
    constexpr int steps = 8;  // buckets per doubling
    constexpr int levels = 64 * steps;
    const auto bucket = [&](const Item& item) {
        const int64_t rows = item.num_tokens * options_.shape.rows_per_token;
        const bool many = options_.batch_invariant || rows > options_.figures.few_rows;
        const auto cost = static_cast<uint64_t>(item.num_kv_tokens) *
                          static_cast<uint64_t>(many ? round_up(rows, 8) : 1);
        const int log2 = static_cast<int>(std::bit_width(cost)) - 1;
        const auto below = static_cast<int>(log2 < 3 ? 0 : (cost >> (log2 - 3)) & (steps - 1));
        return (many ? 0 : levels) + levels - 1 - (log2 * steps + below);
    };
    buckets_.assign(2 * levels + 1, 0);
    bucket_of_.resize(work.items.size());
    size_t least = 2 * levels, most = 0;
    int32_t num_many = 0;
    for (size_t i = 0; i < work.items.size(); ++i) {
        const auto b = static_cast<size_t>(bucket(work.items[i]));
        bucket_of_[i] = static_cast<uint16_t>(b);
        ++buckets_[b + 1];
        num_many += b < levels ? 1 : 0;
        least = std::min(least, b);
        most = std::max(most, b);
    }
    work.num_many = num_many;
    for (size_t b = least + 1; b <= most; ++b)
        buckets_[b] += buckets_[b - 1];
    sorted_.resize(work.items.size());
    for (size_t i = 0; i < work.items.size(); ++i)
        sorted_[static_cast<size_t>(buckets_[bucket_of_[i]]++)] = work.items[i];
    work.items.swap(sorted_);
}

}  // namespace relayattn
