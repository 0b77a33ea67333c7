#include "impl/core/plan/planner.h"

#include <algorithm>
#include <limits>

namespace relayattn {
namespace {

bool sees_anything(const Row& row) {
    return row.num_tokens > 0 && (row.run >= 0 || row.tail.num_tokens > 0);
}

}  // namespace

PlanSummary Planner::plan(const Forest& forest, const PlannerOptions& options, WorkList& work) {
    forest_ = &forest;
    options_ = options;
    unit_ = UnitCost(options.figures, options.shape);
    tile_tokens_ = static_cast<int32_t>(
        std::max<int64_t>(1, options.figures.tile_rows / options.shape.rows_per_token));
    has_tree_ = work.tree_mask != nullptr;
    one_token_ = unit_.of(options.shape.rows_per_token);
    count_branches();
    link_chains();
    choose_relays();
    double total = relays_ns();
    total += place_rows(work);
    total *= static_cast<double>(options.shape.kv.num_kv_heads);
    double target =
        total / static_cast<double>(options.figures.num_workers) * options.figures.balance;
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
    merge_tokens(work);
    index_partials(work);
    order_items(work);
    return summary(work, total);
}

PlanSummary Planner::summary(const WorkList& work, double total_ns) const {
    PlanSummary summary;
    summary.items = static_cast<int64_t>(work.items.size());
    summary.runs = static_cast<int64_t>(forest_->runs.size());
    summary.relay_runs = relay_runs_;
    summary.partials = work.num_partials;
    summary.runs += num_tails_;
    summary.relay_runs += options_.batch_invariant ? num_tails_ : 0;  // all are relayed then
    int64_t kv_tokens = own_tokens_;
    for (size_t r = 0; r < forest_->runs.size(); ++r)
        kv_tokens += branches_[r].relayed ? forest_->runs[r].length : 0;
    summary.kv_bytes = kv_tokens * options_.shape.token_bytes() * options_.shape.kv.num_kv_heads;
    summary.predicted_ns =
        static_cast<int64_t>(total_ns / static_cast<double>(options_.figures.num_workers));
    return summary;
}

// Brothers follow each other as a rule, runs as well as rows: here and below, what they add up to
// goes to the run above them once.
void Planner::count_branches() {
    const std::vector<Run>& runs = forest_->runs;
    branches_.assign(runs.size() + 1, Branch{});
    // Of different types, or compilers keep them in one register and take them apart for each row.
    int32_t above = -1, sequences = 0;
    int64_t tokens = 0;
    for (const Row& row : forest_->rows) {
        if (!sees_anything(row))
            continue;
        if (row.run != above) {
            add_below(above, sequences, tokens);
            above = row.run;
            sequences = 0;
            tokens = 0;
        }
        sequences += 1;
        tokens += row.num_tokens;
    }
    add_below(above, sequences, tokens);
    above = -1;
    sequences = 0;
    tokens = 0;
    for (size_t r = runs.size(); r-- > 0;) {
        if (runs[r].parent != above) {
            add_below(above, sequences, tokens);
            above = runs[r].parent;
            sequences = 0;
            tokens = 0;
        }
        sequences += branches_[r].sequences;
        tokens += branches_[r].tokens;
    }
    add_below(above, sequences, tokens);
}

void Planner::add_below(int32_t run, int32_t sequences, int64_t tokens) {
    Branch& above = branch_of(run);
    above.sequences += sequences;
    above.tokens += static_cast<int32_t>(tokens);
}

void Planner::link_chains() {
    const std::vector<Run>& runs = forest_->runs;
    for (size_t r = 0; r < runs.size(); ++r) {
        const auto self = static_cast<int32_t>(r);
        Branch& above = branch_of(runs[r].parent);
        Branch& branch = branches_[r];
        branch.first_token = branch.next_token = above.next_token;
        above.next_token += branch.tokens;
        const bool goes_on =
            !options_.batch_invariant && runs[r].parent >= 0 && above.sequences == branch.sequences;
        branch.chain = goes_on ? above.chain : self;
        Branch& head = branches_[static_cast<size_t>(branch.chain)];
        head.chain_length += runs[r].length;
        head.chain_end = self;
    }
}

void Planner::choose_relays() {
    relay_runs_ = 0;
    for (size_t r = 0; r < forest_->runs.size(); ++r) {
        Branch& branch = branches_[r];
        const int32_t parent = forest_->runs[r].parent;
        branch.own_above = -1;
        if (parent >= 0) {
            const Branch& above = branches_[static_cast<size_t>(parent)];
            branch.under_relay = above.under_relay || above.relayed;
            branch.own_above = above.relayed ? above.own_above : parent;
            branch.own_tokens = above.own_tokens;
        }
        const bool is_head = branch.chain == static_cast<int32_t>(r);
        branch.relayed =
            is_head ? is_relayed(branch) : branches_[static_cast<size_t>(branch.chain)].relayed;
        if (branch.relayed)
            ++relay_runs_;
        else
            branch.own_tokens += forest_->runs[r].length;
    }
}

bool Planner::is_relayed(const Branch& head) const {
    if (options_.batch_invariant)
        return head.tokens > 0;  // one form for all, whoever shares it
    if (head.sequences < 2 || options_.mode == PlanMode::flat)
        return false;
    if (options_.mode == PlanMode::relay)
        return true;
    return relay_ns(options_.figures, options_.shape, head.chain_length, head.tokens,
                    !head.under_relay) < flat_ns(options_.figures, options_.shape,
                                                 head.chain_length, head.tokens, head.sequences);
}

// Lays out the rows' tokens; returns what the KV that they read for themselves costs.
double Planner::place_rows(WorkList& work) {
    row_first_.resize(forest_->rows.size());
    work.item_tokens.resize(static_cast<size_t>(branch_of(-1).tokens));
    int32_t* const item_tokens = work.item_tokens.data();
    int32_t run = -1, next = branch_of(-1).next_token, above_tokens = 0;
    int64_t own_tokens = 0, tails = 0;
    double sum = 0;
    for (size_t i = 0; i < row_first_.size(); ++i) {
        const Row& row = forest_->rows[i];
        row_first_[i] = -1;
        if (!sees_anything(row))
            continue;
        if (row.run != run) {
            branch_of(run).next_token = next;
            run = row.run;
            const Branch& above = branch_of(run);
            next = above.next_token;
            above_tokens = above.own_tokens;
        }
        row_first_[i] = next;
        item_tokens[next++] = row.first_token;
        for (int32_t t = 1; t < row.num_tokens; ++t)
            item_tokens[next++] = row.first_token + t;
        const int32_t own = above_tokens + row.tail.num_tokens;
        own_tokens += own;
        tails += row.tail.num_tokens > 0 ? 1 : 0;
        if (own > 0)
            sum += row.num_tokens == 1 ? one_token_.ns(own) : group_ns(own, row.num_tokens);
    }
    own_tokens_ = own_tokens;
    num_tails_ = tails;
    return sum;
}

double Planner::relays_ns() const {
    double sum = 0;
    for (size_t r = 0; r + 1 < branches_.size(); ++r) {
        const Branch& branch = branches_[r];
        if (branch.relayed && branch.chain == static_cast<int32_t>(r) && branch.chain_length > 0)
            sum += group_ns(branch.chain_length, branch.tokens);
    }
    return sum;
}

double Planner::group_ns(int64_t kv_tokens, int64_t num_tokens) const {
    const DeviceFigures& figures = options_.figures;
    const int64_t rows = num_tokens * options_.shape.rows_per_token;
    if (rows <= figures.tile_rows)
        return unit_.of(rows).ns(kv_tokens);
    const int64_t tiles = (rows + figures.tile_rows - 1) / figures.tile_rows;
    return static_cast<double>(tiles) * unit_.of(figures.tile_rows).ns(kv_tokens);
}

}  // namespace relayattn
